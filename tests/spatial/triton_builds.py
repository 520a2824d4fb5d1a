"""Every Triton kernel compiled for compute capabilities 8.0 and 9.0, without a GPU. Prints JSON: kernel -> resources.

python -m tests.spatial.triton_builds
"""

import json
import re
import subprocess
import tempfile
from pathlib import Path

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from mmreg.spatial.compiled.gpu import descriptor_kernels, sum_kernels, warp_kernels

CAPABILITIES = (80, 90)
_SWITCHES = {
    'warp_kernel': [{'BORDER': b, 'COMPOSED': c, 'FLAT': f} for b in (0, 1) for c in (0, 1) for f in (0, 1)],
    'warp_backward_kernel': [
        {'BORDER': b, 'FLAT': f, 'BY_IMAGE': i, 'BY_FIELD': 1} for b in (0, 1) for f in (0, 1) for i in (0, 1)
    ],
    'box_kernel': [{'BEFORE': 4, 'AFTER': 4}],
    'moments_kernel': [{'REACH': 4}],
    'lines_kernel': [{'REACH': 4, 'COUNT': 5, 'WHOLE': 9}, {'REACH': 4, 'COUNT': 5, 'WHOLE': 0}],
    'correlation_kernel': [
        {'MASKED': m, 'COUNTED': m, 'EXPONENT': e, 'BY_FIRST': 1, 'BY_SECOND': s}
        for m in (0, 1) for e in (1, 2, 4) for s in (0, 1)
    ],
    'gradient_kernel': [{'VARIANCE': 1, 'FIRST': 1}],
    'jacobian_kernel': [{'FLAT': 0}, {'FLAT': 1}],
    'difference_kernel': [{'REACH': 2}],
    'window_kernel': [{'REACH': 2, 'TRANSPOSED': t} for t in (0, 1)],
    'spread_kernel': [{'COUNT': c} for c in (4, 6, 12)],
    'compare_kernel': [
        {'COUNT': c, 'SQUARED': s, 'MASKED': s, 'SIDE': d, 'DERIVE': d} for c in (4, 12) for s in (0, 1) for d in (0, 1)
    ],
    'step_kernel': [{'REACH': 2}],
    'gather_kernel': [{'COUNT': 12}],
}  # fmt: skip
_FLOATS = ('n', 'eps', 'scale', 'weight', 'low_factor', 'high_factor', 'floor')
_INTEGERS = ('pairs',)
_NUMBERS = ('channels', 'voxels', 'depth', 'height', 'width', 'image_step', 'field_step', 'total', 'stride', 'length',
            'before', 'after', 'reach', 'count', 'padded', 'margin_z', 'margin')  # fmt: skip


def kernels():
    """Name -> kernel."""
    found = {}
    for module in (warp_kernels, sum_kernels, descriptor_kernels):
        found |= {name: value for name, value in vars(module).items() if name.endswith('_kernel')}
    return found


def resources(kernel, switches, capability):
    """Registers, bytes of spills, shared memory of a build."""
    signature, constants = {}, {}
    for name in kernel.arg_names:
        if name == 'BLOCK' or name in switches:
            signature[name] = 'constexpr'
            constants[name] = 256 if name == 'BLOCK' else switches[name]
        else:
            numbers = 'fp32' if name in _FLOATS else 'i32' if name in _NUMBERS else None
            signature[name] = numbers or ('*i32' if name in _INTEGERS else '*fp32')
    built = triton.compile(ASTSource(kernel, signature, constants), target=GPUTarget('cuda', capability, 32))
    tool = next(Path(triton.__file__).parent.rglob('cuobjdump'))
    with tempfile.NamedTemporaryFile(suffix='.cubin') as file:
        file.write(built.asm['cubin'])
        file.flush()
        told = subprocess.run([tool, '--dump-resource-usage', file.name], capture_output=True, text=True, check=True)
    usage = {key: int(value) for key, value in re.findall(r'(REG|STACK|LOCAL):(\d+)', told.stdout)}
    return {
        'registers': usage['REG'],
        'spills': usage['STACK'] + usage['LOCAL'],
        'shared': int(built.metadata.shared),
    }


if __name__ == '__main__':
    assert set(kernels()) == set(_SWITCHES)
    print(
        json.dumps(
            {
                f'{name} {" ".join(f"{k}={v}" for k, v in switches.items())} sm_{capability}'.replace(
                    '  ', ' '
                ): resources(kernel, switches, capability)
                for capability in CAPABILITIES
                for name, kernel in kernels().items()
                for switches in _SWITCHES[name]
            }
        )
    )
