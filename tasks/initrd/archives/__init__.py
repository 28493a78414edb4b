"""An initrd as the kernel reads it: segments of cpio, each packed in its own way; and how to put it together again."""
