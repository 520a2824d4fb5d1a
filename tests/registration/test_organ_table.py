"""The preset chosen for a table of labelled examples."""

from mmreg.registration.inputs import read_pair
from mmreg.registration.presets.choice import choose_preset

from .organs import examples


def test_table(capsys):
    wrong, count = [], 0
    for name, suits, fixed, moving in examples():
        choice = choose_preset(read_pair({'fixed': fixed, 'moving': moving}))
        count += 1
        if choice.name not in suits:
            wrong.append(f'{name}: {choice.name} instead of {" or ".join(suits)}; {"; ".join(choice.reasons)}')
    with capsys.disabled():
        print(f'\npreset of {count} labelled examples: {count - len(wrong)} right')
        print('\n'.join(wrong))
    assert count >= 40 and len(wrong) <= 0.05 * count
