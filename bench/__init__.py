"""The benchmark harness: codecs behind one protocol, measured on real files, compared by BD-rate.

    table        tables as people read them; pictures: what is measured on; environment: what numbers depend on
    codecs       what a codec is (protocol), the codecs there are (pillow, peers, vvc, ours) and the table of them
                 (registry: a new codec is a line there); the quality that fits a size (match), bytes by part (parts)
    metrics      what is measured on a picture and its file; BD-rates of curves, curves and claims of others
    rd           (codec x quality x picture) -> rows of a file (run, results) -> tables (report, bd_tables, means,
                 effort)
    timing       speed, memory and cold starts of codecs in turns (speed, worker, cold), by size and by number of files
                 (growth, mosaic), and where the time of coding goes, stage by stage (stages, clock)
    small        models of tiny pictures on whole test sets; their latents as features; anomalies
    words        how many words are still read in pictures after coding
    experiments  short training runs of the photo model, one change at a time: a program
    compare      one picture against other files of it, for `caecodec compare`
    page         results -> one HTML file; viewer: pictures under a slider, for it and for compare
    show         what README and newcomers see: the demo, the figure, the tables filled in: programs
    command      the commands `caecodec bench ...` and `caecodec compare`

anchors/ holds curves of others and the manifest of words, results/ what was measured here. Files are made and
read by the public API of caecodec; what looks inside (stages, small, experiments, maps of bits) imports its rooms, and
none of them imports the benchmark.
"""
