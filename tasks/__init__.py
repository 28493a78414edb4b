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
    exports/     model → other tools' files    Ansible, ClusterShell, genders, ssh, Prometheus, consoles
    deploy/      build/etc → /etc      8     what a run would change; the head node's daemons

Beside the steps:

    __main__, bootstrap, debs, system, doctor     the first run: Python packages, programs, what is missing
    actions, graph, recipe, record                how an artefact is declared, remembered, what it was made from
    family, assemble, parallel                    files of many nodes: made of parts, of which only the new are rendered
    run, files, template                          the doors to processes, to writing, to Jinja2
    paths, listing, errors                        where things lie, what is said
    cpio, newc, packing, compression, deflate, decompression    how archives are packed and unpacked
    hostsfile                                     a hosts file that holds somebody else's lines
    bench, bench_site                             what it costs

Import rules (tests/test_structure.py and ruff hold them):

1. ``dodo → step/__init__ → {actions, paths, the step's modules}``; a step's modules → the modules beside the steps that
   the test calls SHARED, and of the inventory ``{model, noderange, texts, grouping, arithmetic}``; all → ``errors``.
   A face imports what it declares when it declares it: a run with nothing to do loads nothing of a step.
2. A step imports no other step: steps meet in ``build/``.
3. One library, one door: yaml in inventory/reading, jinja2 in template, libarchive in media/reader, pyelftools in
   initrd/elf, pyghmi in nodes/bmc, doit in actions, subprocess in run.
"""
