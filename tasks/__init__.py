"""The journey from an inventory to a booted node, one folder per step.

    inventory/   YAML → model          1
    configs/     model → text          2     hosts, zones, dhcpd.conf, boot menus
    media/       ISO → install tree    3
    rootimg/     packages → root image 4
    initrd/      tree → first stage    5     and the proof that it boots
    stage/       → tftpboot, install   6     what nodes fetch
    nodes/       nodeset, IPMI         7     what changes the world
    lab/         the same nodes as virtual machines
    tables/      xCAT's tables in and out      to look at the inventory, to come and to go

Beside the steps:

    __main__, bootstrap, debs, system, doctor     the first run: Python packages, programs, what is missing
    actions, record                               how an artefact is declared, what it was made from
    run, files, template                          the doors to processes, to writing, to Jinja2
    paths, errors, cpio, gzipped, bench           where things lie, what is said, how archives are packed, what it costs

Import rules (tests/test_structure.py and ruff hold them):

1. ``dodo → step/__init__ → {actions, paths, the step's modules}``; a step's modules →
   ``{run, files, paths, template, cpio, gzipped, inventory.model, inventory.noderange}``; all → ``errors``.
2. A step imports no other step: steps meet in ``build/``.
3. One library, one door: yaml in inventory/load, jinja2 in template, libarchive in media/reader, pyelftools in
   initrd/elf, pyghmi in nodes/bmc, doit in actions, subprocess in run.
"""
