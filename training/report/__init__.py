"""The report of a run: one page that tells how it learnt, what its layers do, and where it fails.

    metrics.jsonl, samples.jsonl --------------> curves, samples -----+
    best.pt + dev --greedy--> translations ----> scores, worst -------+--> report.html
                  --hooks---> what layers read -> gates, flow --------+
                  --decode--> attention -------------------------------+

The page holds its pictures and its style, and loads and runs nothing.
"""
