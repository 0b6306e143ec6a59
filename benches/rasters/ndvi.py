"""NDVI as Python programs compute it: `ndvi.py mucho|dask COMPRESS IN OUT`, with two processes or threads.

rio-mucho hands windows to worker processes, dask blocks to threads; both write with rasterio.
"""

import sys

import rasterio

BLOCK = 512
NIR, RED = 4, 1


def profile(source, compress):
    """What the file is written as."""
    made = source.profile.copy()
    made.update(driver="GTiff", count=1, dtype="float32", nodata=-9999.0, tiled=True, blockxsize=BLOCK, blockysize=BLOCK)
    made.update(compress=compress, predictor=3 if compress != "NONE" else 1, photometric="MINISBLACK")
    return made


def window_of_ndvi(opened, window, _indexes, _args):
    """One window, in a worker."""
    bands = opened[0].read([NIR, RED], window=window).astype("float32")
    total = bands[0] + bands[1]
    total[total == 0] = float("nan")
    return ((bands[0] - bands[1]) / total)[None]


def mucho(compress, path, made):
    """With rio-mucho."""
    import riomucho

    with rasterio.open(path) as source:
        options = profile(source, compress)
    with riomucho.RioMucho([path], made, window_of_ndvi, mode="manual_read", options=options) as job:
        job.run(2)


def dask(compress, path, made):
    """With rioxarray and dask."""
    import dask.config
    import rioxarray

    with dask.config.set(scheduler="threads", num_workers=2):
        bands = rioxarray.open_rasterio(path, chunks={"band": 1, "x": 2048, "y": 2048}, lock=False)
        near, red = bands[NIR - 1].astype("float32"), bands[RED - 1].astype("float32")
        predictor = 3 if compress != "NONE" else 1
        ((near - red) / (near + red)).rio.to_raster(
            made, tiled=True, blockxsize=BLOCK, blockysize=BLOCK, compress=compress, predictor=predictor, windowed=True
        )


if __name__ == "__main__":
    {"mucho": mucho, "dask": dask}[sys.argv[1]](*sys.argv[2:])
