"""The visualizer: hands panels of registered pairs to the backends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.visualization import Visualizer

from mmreg.registry import VISUALIZERS

from .figures import overview_figure, save_png
from .patient import PatientView


@VISUALIZERS.register_module()
class RegVisualizer(Visualizer):
    """Draws a registered pair for every configured backend (local files, TensorBoard, Weights & Biases).

    Args:
        name: Name of the instance, by which the engine finds it again.
        compare: ``'difference'`` or ``'checkerboard'``.
        axes: 3-D: axes to cut through; all three when None.
        view: Which way pairs with a known grid are shown, ``'neurological'`` or ``'radiological'``.
        kwargs: Arguments of MMEngine's ``Visualizer``.
    """

    def __init__(
        self,
        name: str = 'visualizer',
        compare: str = 'difference',
        axes: tuple[int, ...] | None = None,
        view: str = 'neurological',
        **kwargs: Any,
    ) -> None:
        super().__init__(name, **kwargs)
        self.compare, self.axes, self.view = compare, axes, view

    def add_datasample(
        self,
        name: str,
        image: Any,
        data_sample: Any = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | Path | None = None,
        step: int = 0,
    ) -> None:
        """Draw one predicted sample.

        Args:
            name: Name of the picture.
            image: Pair of images ``(fixed, moving)``, each ``(C, *spatial)``; None where the sample holds them.
            data_sample: A ``RegSample`` with ``pred.displacement`` and ``pred.warped``.
            draw_gt: Unused, part of the engine's interface.
            draw_pred: Unused, part of the engine's interface.
            show: Unused: nothing is shown on a screen.
            wait_time: Unused.
            out_file: PNG to write as well.
            step: Step under which the backends file the picture.
        """
        fixed, moving = image if image is not None else (data_sample.fixed, data_sample.moving)
        displacement = data_sample.pred.displacement
        patient = PatientView.of(tuple(displacement.shape[1:]), data_sample.get('affine'), self.view)
        rgb = overview_figure(
            patient.image(fixed),
            patient.image(moving),
            patient.image(data_sample.pred.warped),
            patient.field(displacement),
            spacing=patient.spacing(data_sample.get('spacing')),
            codes=patient.codes,
            title=str(data_sample.get('case_id', name)),
            compare=self.compare,
            axes=self.axes,
        )
        if out_file is not None:
            save_png(rgb, out_file)
        self.add_image(name, rgb, step)
