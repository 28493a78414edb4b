"""The boot proof: rules over a kernel, an initrd, a root image and machines; what the kernel would say; the report."""
