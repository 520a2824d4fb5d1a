"""Labels of atlases: fusion on made votes, and the way from files to files."""

import csv
import json

import numpy as np
import pytest

from mmreg.cli import main
from mmreg.io import Volume, read_image, read_labels, write_volume
from mmreg.populations.propagation.fusion import FUSIONS, Votes, disagreement, fuse, majority
from mmreg.populations.propagation.joint import joint_weights, patch_similarity
from mmreg.populations.propagation.settings import FUSION_NAMES, PropagationSettings

from .made import group


def _rows(path):
    return list(csv.DictReader(path.read_text(encoding='utf-8').splitlines()))


@pytest.fixture(scope='module')
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp('atlases')
    return folder, *group(folder, count=4)


def _votes(wrong=1, size=20):
    """Three atlases of a square; the last ``wrong`` ones have it shifted, in image and labels alike."""
    image = np.zeros((size, size), np.float32)
    image[6:14, 6:14] = 1
    images, labels = [], []
    for number in range(3):
        shift = 3 if number >= 3 - wrong else 0
        moved = np.roll(image, shift, 0)
        images.append(moved)
        labels.append((moved > 0.5).astype(np.int32))
    return Votes(image, np.stack(images), np.stack(labels)), (image > 0.5).astype(np.int32)


def test_every_way_by_name():
    assert set(FUSIONS) == set(FUSION_NAMES)
    votes, truth = _votes(wrong=1)
    for name in FUSIONS:
        found = fuse(votes, name)
        np.testing.assert_array_equal(found.labels, truth, err_msg=name)
        assert disagreement(found).min() >= 0 and disagreement(found).max() <= 1


def test_local_weights_outvote_a_wrong_majority():
    """Two of three atlases are wrong in the same way: only ways that look at the images see it."""
    votes, truth = _votes(wrong=2)
    assert (majority(votes).labels != truth).any()
    for name in ('joint', 'weighted'):
        agree = (fuse(votes, name).labels == truth).mean()
        assert agree > (majority(votes).labels == truth).mean(), name
    np.testing.assert_array_equal(fuse(votes, 'joint').labels, truth)


def test_joint_weights_are_those_of_the_formula():
    generator = np.random.default_rng(3)
    image, *atlases = generator.normal(size=(4, 7, 6)).astype(np.float32)
    radius, alpha, beta = 1, 0.1, 2.0
    weights = joint_weights(image, np.stack(atlases), radius, alpha, beta)
    assert np.abs(weights.sum(0) - 1).max() < 1e-5

    def patches(array, i, j):
        return array[max(0, i - radius) : i + radius + 1, max(0, j - radius) : j + radius + 1]

    def normal(array):
        floor = 1e-4 * array.astype(np.float64).var(ddof=1) + 1e-12
        found = np.zeros(array.shape)
        for i, j in np.ndindex(array.shape):
            patch = patches(array.astype(np.float64), i, j)
            found[i, j] = (array[i, j] - patch.mean()) / np.sqrt(patch.var() + floor)
        return found

    errors = [np.abs(normal(atlas) - normal(image)) for atlas in atlases]
    i, j = 3, 2
    matrix = np.array([[(patches(a, i, j) * patches(b, i, j)).sum() ** beta for b in errors] for a in errors])
    matrix = matrix / np.trace(matrix) * 3 + alpha * np.eye(3)
    solution = np.linalg.solve(matrix, np.ones(3))
    np.testing.assert_allclose(weights[:, i, j], solution / solution.sum(), rtol=1e-4)


def test_similarity_of_patches_knows_no_brightness():
    generator = np.random.default_rng(0)
    image = generator.normal(size=(9, 8, 7)).astype(np.float32)
    assert patch_similarity(image, 3 * image + 7, 1).min() > 0.999
    assert patch_similarity(image, -image, 1).max() < 0.001
    assert (patch_similarity(image, np.ones_like(image), 1) == 0.5).all()


def test_from_files_to_files(scans, capsys):
    folder, images, labels, _ = scans
    words = ['propagate', str(images[0]), '--atlases', *map(str, images[1:]), '--labels', *map(str, labels[1:])]
    out = folder / 'out'
    words += ['-o', str(out), '--fusion', 'joint', 'majority', '--select', '2', '--preset', 'generic']
    assert main(words) == 0
    truth = read_labels(labels[0]).array
    for name in ('labels', 'labels_majority'):
        found = read_labels(out / f'{name}.nii.gz').array
        for value in (1, 2):
            a, b = truth == value, found == value
            assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.75
    assert read_image(out / 'disagreement.nii.gz', check=False).array.max() <= 1
    rows = _rows(out / 'atlases.csv')
    assert sorted(row['used'] for row in rows) == ['no', 'yes', 'yes'] and all(row['similarity'] for row in rows)
    assert (out / 'index.html').is_file() and (out / 'plan.json').is_file()
    capsys.readouterr()
    assert main(words) == 0  # again: nothing is registered a second time
    assert 'written to' in capsys.readouterr().out


def test_leave_one_out_of_two(scans, tmp_path, capsys):
    """Each by the one other: whichever way, the fusion is that atlas, and only staple need not be."""
    _, images, labels, _ = scans
    words = ['propagate', '--leave-one-out', '--atlases', *map(str, images[:2]), '--labels', *map(str, labels[:2])]
    words += ['-o', str(tmp_path / 'out'), '--preset', 'generic', '--fusion', 'majority', 'weighted', 'joint']
    words += ['--cfg-options', "optimisation.levels=[{'spacing':8.0,'iterations':8}]"]
    assert main(words) == 0
    rows = _rows(tmp_path / 'out' / 'leave_one_out.csv')
    found = {fusion: [float(row['dice']) for row in rows if row['fusion'] == fusion] for fusion in words[-5:-2]}
    assert len(rows) == 3 * 2 * 2 and found['majority'] == found['weighted'] == found['joint']


@pytest.mark.slow
def test_leave_one_out(scans):
    folder, images, labels, _ = scans
    out = folder / 'loo'
    words = ['propagate', '--leave-one-out', '--atlases', *map(str, images[:3]), '--labels', *map(str, labels[:3])]
    assert main([*words, '-o', str(out), '--fusion', 'majority', '--preset', 'generic']) == 0
    rows = _rows(out / 'leave_one_out.csv')
    assert len(rows) == 3 * 2 and min(float(row['dice']) for row in rows) > 0.6


def test_how_much_there_is_to_do():
    assert [PropagationSettings(select=n).registrations(3) for n in (None, 1, 2, 3, 9)] == [3, 4, 5, 3, 3]


@pytest.mark.parametrize('way', ['target', 'leave-one-out'])
@pytest.mark.parametrize('compared', [['joint'], ['majority', 'weighted']])
def test_ct_among_others_is_refused_where_intensities_count(way, compared, scans, tmp_path, capsys):
    _, images, labels, _ = scans
    volume = read_image(images[1])
    write_volume(tmp_path / 'ct.nii.gz', Volume(volume.array - 1000, volume.geometry))
    atlases = ['--atlases', str(tmp_path / 'ct.nii.gz'), str(images[2]), '--labels', str(labels[1]), str(labels[2])]
    given = [str(images[0]), *atlases] if way == 'target' else ['--leave-one-out', *atlases]
    assert main(['propagate', *given, '-o', str(tmp_path / 'out'), '--fusion', *compared]) == 2
    told = capsys.readouterr().err
    assert 'found ct in Hounsfield units among' in told and f'--fusion {compared[-1]} compares' in told
    assert told.count('\n') == 1 and not (tmp_path / 'out').exists()


def test_ct_among_others_votes(scans, tmp_path):
    """A majority knows no intensities; the pair is registered by a preset for two contrasts."""
    _, images, labels, _ = scans
    volume = read_image(images[1])
    write_volume(tmp_path / 'ct.nii.gz', Volume(volume.array * 5 - 1000, volume.geometry))
    words = ['propagate', str(images[0]), '--atlases', str(tmp_path / 'ct.nii.gz'), '--labels', str(labels[1])]
    assert main([*words, '-o', str(tmp_path / 'out'), '--fusion', 'majority']) == 0
    plan = json.loads((tmp_path / 'out' / 'atlases' / 'ct' / 'plan.json').read_text(encoding='utf-8'))
    assert 'multimodal' in plan['preset']['name']
    truth, found = read_labels(labels[0]).array, read_labels(tmp_path / 'out' / 'labels.nii.gz').array
    assert all(
        2 * ((truth == n) & (found == n)).sum() / ((truth == n).sum() + (found == n).sum()) > 0.6 for n in (1, 2)
    )


@pytest.mark.parametrize(
    'words, told',
    [
        (['{0}', '--atlases', '{1}', '{2}'], 'no label maps'),
        (['--atlases', '{1}', '--labels', '{L}'], 'TARGET and --leave-one-out'),
        (['{0}', '--leave-one-out', '--atlases', '{1}', '--labels', '{L}'], 'TARGET and --leave-one-out'),
        (['{0}', '--atlases', '{1}', '--labels', '{L}', '--select', '0'], 'select is 0'),
        (['--leave-one-out', '--atlases', '{1}', '--labels', '{L}'], 'found 1 scan, expected 2 or more'),
        (['nothing.nii.gz', '--atlases', '{1}', '--labels', '{L}'], 'nothing.nii.gz'),
    ],
)
def test_wrong_input_is_one_sentence(words, told, scans, tmp_path, capsys):
    _, images, labels, _ = scans
    given = [word.format(*images, L=labels[1]) for word in words]
    assert main(['propagate', *given, '-o', str(tmp_path / 'out')]) == 2
    error = capsys.readouterr().err
    assert told in error and 'Traceback' not in error and not (tmp_path / 'out').exists()
