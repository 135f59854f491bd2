"""The model folder: JSON and safetensors, with checksums, replaced as a whole; no pickle."""

from tsrnn.saving.folder import FORMAT_VERSION, read_folder, write_folder

__all__ = ["FORMAT_VERSION", "read_folder", "write_folder"]
