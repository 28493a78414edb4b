"""The journey from an inventory to a booted node, one folder per step.

    inventory/   YAML → model          1
    configs/     model → text          2     hosts, zones, dhcpd.conf, boot menus
    media/       ISO → install tree    3
    rootimg/     packages → root image 4
    initrd/      tree → first stage    5     and the proof that it boots
    stage/       → tftpboot, install   6     what nodes fetch
    nodes/       nodeset, IPMI         7     what changes the world
    lab/         the same nodes as virtual machines

Import rules (tests/test_structure.py and ruff hold them):

1. ``dodo → step/__init__ → {actions, paths, the step's modules}``;
   a step's modules → ``{run, files, paths, template, inventory.model}``; all → ``errors``.
2. A step imports no other step: steps meet in ``build/``.
3. One library, one door: yaml in inventory/load and inventory/emit, jinja2 in template, libarchive in media/reader,
   pyelftools in initrd/elf, pyghmi in nodes/bmc, doit in actions, subprocess in run.
"""
