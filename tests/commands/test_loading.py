"""What a command that registers loads: the engine, without what spreads one network over many GPUs."""

import subprocess
import sys
import textwrap

HEAVY = (
    'torch.distributed.fsdp', 'torch.distributed.optim', 'torch.distributed.tensor', 'sympy', 'mmcv', 'pydicom',
    'numpy.f2py',
)  # fmt: skip


def lines_of(code):
    """What a process of its own prints."""
    done = subprocess.run([sys.executable, '-c', textwrap.dedent(code)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_registration_loads_no_sharded_training():
    """The engine's parts are all there; its wrappers around sharding say that they were left out."""
    found = lines_of(f"""
        import gc, sys
        from mmreg.commands.shared.engine_parts import import_what_registers
        import_what_registers()
        print([name for name in {HEAVY} if name in sys.modules], gc.isenabled(), gc.get_freeze_count() > 100_000)
        from mmengine.model import MMFullyShardedDataParallel
        from mmengine.runner import Runner
        from mmreg.registry import LOSSES, TRANSFORMS
        print(Runner.__name__, 'LNCC' in LOSSES, 'MinMax' in TRANSFORMS)
        try:
            MMFullyShardedDataParallel(None)
        except RuntimeError as error:
            print(error)
        import torch.distributed.fsdp
        print(torch.distributed.fsdp.FullyShardedDataParallel.__module__)
    """)
    assert found == [
        '[] True True',
        'Runner True True',
        'MMFullyShardedDataParallel was left out, since this process began with a registration; train in another one.',
        'torch.distributed.fsdp.fully_sharded_data_parallel',
    ]


def test_what_is_seldom_asked_for_is_imported_when_it_is():
    found = lines_of("""
        import sys
        from mmreg.commands.shared.engine_parts import import_what_registers
        import_what_registers()
        import nibabel.nifti1
        print('pydicom' in sys.modules, nibabel.nifti1.have_dicom)
        empty = nibabel.nifti1.Nifti1DicomExtension(2, b'')
        print(type(empty.get_content()).__module__, 'pydicom' in sys.modules)
        import numpy
        print(numpy.f2py.main.__module__)
    """)
    assert found == ['False True', 'pydicom.dataset True', 'numpy.f2py.f2py2e']


def test_nothing_is_replaced_where_the_engine_is_loaded():
    found = lines_of("""
        import gc
        import mmengine.model
        from mmreg.commands.shared.engine_parts import import_what_registers
        import_what_registers()
        print(gc.get_freeze_count(), mmengine.model.MMFullyShardedDataParallel.__mro__[1].__module__)
    """)
    assert found == ['0 torch.distributed.fsdp.fully_sharded_data_parallel']


def test_layers_are_known_to_who_reads_a_network_from_a_file():
    """mmcv is imported late, where a layer is built; a checkpoint names its layers before."""
    found = lines_of("""
        import sys
        from mmreg.plugins import register_all_modules
        from mmreg.registry import MODELS
        from mmreg.utils.admit import admit
        register_all_modules()
        print('mmcv' in sys.modules)
        print(admit(dict(type='GN', num_groups=2), 'norm_cfg', [MODELS]))
    """)
    assert found == ['False', "{'type': 'GN', 'num_groups': 2}"]
