"""The benchmark harness: codecs behind one protocol, measured on real files, compared by BD-rate.

    codecs   every codec as encode(array, quality) -> bytes and decode(bytes) -> array
    metrics  what is measured on a picture and its file
    results  the rows of a run, and their JSON
    rd       (codec x quality x picture) -> rows
    bdrate   curves -> BD-rate, BD-PSNR, rate at a PSNR
    report   rows -> the tables people read
    cli      the command `caecodec bench`
    match    the file of a codec that fits a size, for `figure` and `demo`

It stands on the public API; `figure` and `demo` are programs of their own (python -m caecodec.bench.demo).
"""
