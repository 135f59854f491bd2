"""Networks: tensors in, tensors out. Nothing here knows frames, panels or training loops."""
