"""Speed and memory of bricks and of training, beside peers that do the same with the same network.

    python -m benchmarks.speed                  # on the GPU if there is one, else on the CPU
    python -m benchmarks.speed --quick          # small bricks

`inputs` makes bricks and a model, `timing` says how time and memory are taken; `bricks`, `peers` and
`training` measure.
"""
