"""The benchmark harness: codecs behind one protocol, measured on real files, compared by BD-rate.

    codecs     every codec as encode(array, quality) -> bytes and decode(bytes) -> array
    peers, vvc those that Pillow does not have
    metrics    what is measured on a picture and its file
    parts      bytes of a file by part: container and picture
    results    the rows of a run, and their JSON
    rd         (codec x quality x picture) -> rows
    bdrate     curves -> BD-rate, BD-PSNR, rate at a PSNR
    published  curves of others, with their sources; claims: what they say of codecs without a curve
    report     rows -> tables; means: every metric near round rates, and the overhead
    bd_tables  codecs against an anchor, or one directly against each of the others, by one metric or by several
    speed      codecs in turns, each in a process (worker, processes, launch, cold) -> timings
    growth     time and memory by size and by number of files (mosaic, growth_figure) -> timings
    breakdown  seconds by stage of encoding and decoding, and of a cold start; effort: what effort of the encoder buys
    experiments  short training runs of the photo model, one change at a time
    timings    the files of speed and growth; timing_report: their tables
    small      small-picture models on whole test sets; small_report, latents
    page       results -> one HTML file (page_*.py, page/)
    viewer     pictures under a slider, for the page and for compare
    compare    one picture against other files of it; compare_page, compare_cli: its page and its command
    match      the file of a codec that fits a size, for `figure`, `demo` and the page
    cli        the command `caecodec bench`

It stands on the public API; `figure` and `demo` are programs of their own (python -m caecodec.bench.show.demo).
"""
