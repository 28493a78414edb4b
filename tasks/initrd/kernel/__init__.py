"""Kernel images, their configuration, their modules, and the firmware that these ask for."""
