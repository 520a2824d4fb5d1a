"""DICOM: a folder with series, one file of a series, or one file with many frames, as SimpleITK images."""

from .series import is_dicom_file, list_dicom_series, read_dicom_file, read_dicom_series, series_files

__all__ = ['is_dicom_file', 'list_dicom_series', 'read_dicom_file', 'read_dicom_series', 'series_files']
