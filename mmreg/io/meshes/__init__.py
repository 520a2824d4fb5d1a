"""Meshes and surfaces whose points move and whose topology stays: VTK, PLY, STL, GIFTI, and others by meshio."""

from .mesh import MESH_ENDINGS, Mesh, is_mesh_file, read_mesh

__all__ = ['MESH_ENDINGS', 'Mesh', 'is_mesh_file', 'read_mesh']
