"""Where the data sets come from and how their folders look: what a newcomer is told, and what `mmreg data` goes by."""

from __future__ import annotations

from dataclasses import dataclass

from mmreg.errors import ConfigError


@dataclass(frozen=True)
class DataSource:
    """One data set.

    Attributes:
        name: Its folder below ``MMREG_DATA``.
        title: What it is.
        links: Where it can be had.
        tree: How the folder looks, a line per entry.
        prepared: Whether ``mmreg data prepare`` makes the folder from what is distributed.
    """

    name: str
    title: str
    links: tuple[str, ...]
    tree: str
    prepared: bool = False


_LEARN2REG = 'https://learn2reg.grand-challenge.org'
_TRANSMORPH = 'https://github.com/junyuchen245/TransMorph_Transformer_for_Medical_Image_Registration'

SOURCES = (
    DataSource(
        'LUMIR',
        'LUMIR (Learn2Reg 2024): 3384 brains, 160x224x192 at 1 mm',
        ('https://github.com/JHU-MedImage-Reg/LUMIR_L2R', _LEARN2REG),
        """
LUMIR/
  LUMIR_dataset.json
  imagesTr/LUMIRMRI_0000_0000.nii.gz ...
  imagesVal/LUMIRMRI_3454_0000.nii.gz ...
  SanityCheckLabelsTr/LUMIRMRI_3364_0000.nii.gz ...
""",
    ),
    DataSource(
        'LUMIR25',
        'LUMIR (Learn2Reg 2025): the scans of 2024 to train on; 36 pairs validate, high field and two contrasts too',
        (_LEARN2REG,),
        """
LUMIR25/
  LUMIR25_dataset.json
  imagesTr/LUMIRMRI_0000_0000.nii.gz ...
  imagesVal/LUMIRMRI_3454_0000.nii.gz ...
  labelsVal/LUMIRMRI_3454_0000.nii.gz ...   coarse label maps (10 classes), where they are given
""",
    ),
    DataSource(
        'OASIS',
        'OASIS (Learn2Reg 2021, task 3): 414 brains, 160x192x224 at 1 mm, 35 labels',
        (_TRANSMORPH, _LEARN2REG),
        """
OASIS/
  train/p_0001.pkl ...                  (image, labels)
  val/p_0438_0439.pkl ...               (moving, fixed, moving labels, fixed labels)
  prompts/0001.nii.gz ...               label maps of a segmenter, for TextSCF only
""",
    ),
    DataSource(
        'IXI',
        'IXI, atlas to patient: 576 brains, 160x192x224 at 1 mm',
        (_TRANSMORPH, 'https://brain-development.org/ixi-dataset/'),
        """
IXI/
  atlas.pkl
  Train/*.pkl (403)   Val/*.pkl (58)   Test/*.pkl (115)
""",
    ),
    DataSource(
        'AbdomenCTCT',
        'abdomen CT-CT (Learn2Reg 2020, task 3): 30 CTs, 192x160x256 at 2 mm, 13 organs',
        (_LEARN2REG,),
        """
AbdomenCTCT/
  img/img0001.nii.gz ... img0030.nii.gz
  label/label0001.nii.gz ...
  prompts/img0001.nii.gz ...            label maps of a segmenter, for TextSCF only
""",
    ),
    DataSource(
        'ACDC',
        'ACDC: cardiac cine MRI of 150 patients',
        ('https://www.creatis.insa-lyon.fr/Challenge/acdc/databases.html',),
        """
ACDC/
  training/patient001/Info.cfg, patient001_frame01.nii.gz, patient001_frame01_gt.nii.gz, patient001_4d.nii.gz ...
  testing/patient101/ ...
  train/patient001_ed_img.nii.gz, patient001_ed_seg.nii.gz, patient001_es_img.nii.gz ...   (prepared)
  test/patient101_ed_img.nii.gz ...                                                        (prepared)
""",
        prepared=True,
    ),
    DataSource(
        'MMs',
        'M&Ms: cardiac cine MRI of 345 patients, four vendors',
        ('https://www.ub.edu/mnms/',),
        """
MMs/
  information.csv
  train/A0S9V9/ED_img.nii.gz, ED_seg.nii.gz, ES_img.nii.gz, ES_seg.nii.gz ...
  val/ ...   test/ ...
""",
        prepared=True,
    ),
    DataSource(
        'MMs2',
        'M&Ms-2: cardiac cine MRI of 360 patients, three vendors, right ventricle',
        ('https://www.ub.edu/mnms-2/',),
        """
MMs2/
  information.csv
  train/001/ED_img.nii.gz, ED_seg.nii.gz, ES_img.nii.gz, ES_seg.nii.gz ...
  val/ ...   test/ ...
""",
        prepared=True,
    ),
    DataSource(
        'UKBB',
        'UK Biobank cardiac cine MRI, by application',
        ('https://www.ukbiobank.ac.uk',),
        """
UKBB/
  train/SUBJECT/sa_ED.nii.gz, sa_ES.nii.gz, label_sa_ED.nii.gz, label_sa_ES.nii.gz ...
  val/ ...   test/ ...
""",
    ),
    DataSource(
        'CamCAN',
        'CamCAN brains, by application: T1 and T2 at 1 mm with tissue labels',
        ('https://cam-can.mrc-cbu.cam.ac.uk/dataset/',),
        """
CamCAN/
  train/SUBJECT/T1_brain.nii.gz, T2_brain.nii.gz, T1_brain_MALPEM_tissues.nii.gz ...
  val/ ...   test/ ...
""",
    ),
    DataSource(
        'NLST',
        'NLST lungs (Learn2Reg 2022 and 2023): 224x192x224 at 1.5 mm',
        (_LEARN2REG,),
        """
NLST/
  NLST_dataset.json
  imagesTr/NLST_0001_0000.nii.gz, NLST_0001_0001.nii.gz ...
  masksTr/ ...   keypointsTr/NLST_0001_0000.csv ...   landmarksTr/ ...
""",
    ),
    DataSource(
        'SpineCTMR',
        'spine CT and MR T1 of one patient each, vertebrae labelled; the data of the paper are not public',
        ('https://anduin.bonescreen.de',),
        """
SpineCTMR/
  train/001/ct.nii.gz, ct_mask.nii.gz, mr_t1.nii.gz, mr_mask.nii.gz ...
  val/ ...   test/ ...
""",
    ),
    DataSource(
        'pairs',
        'pairs of your own',
        (),
        """
pairs/
  train.csv   val.csv   test.csv        columns fixed, moving and, where there are, fixed_labels, moving_labels ...
  the images, wherever the lists say
""",
    ),
)


def find_source(name: str) -> DataSource:
    """The data set of that name, in any case of its letters.

    Raises:
        ConfigError: there is none.
    """
    for source in SOURCES:
        if source.name.lower() == name.lower().replace('&', '').replace('-', ''):
            return source
    raise ConfigError(f'there is no data set {name!r}, expected one of {", ".join(s.name for s in SOURCES)}.')
