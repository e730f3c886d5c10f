using Skep.Bpf.Buffers;

namespace Skep.Bpf.Twin.Maps;

/// <summary>The events of the twin's perf event array that wait to be read.</summary>
internal sealed class TwinPerfSource(TwinPerfStorage owner, int cpus, int bytesPerCpu) : PerfEventSource
{
    // perf_output_sample: a record header, the size of the bytes, the bytes, rounded up to eight together.
    private const int RecordOverhead = 8 + 4;

    private readonly Queue<byte[]>[] _queues = [.. Enumerable.Range(0, cpus).Select(_ => new Queue<byte[]>())];
    private readonly int[] _used = new int[cpus];
    private readonly SemaphoreSlim _arrived = new(0);
    private int _current;

    internal int Waiting => _queues.Sum(q => q.Count);

    internal int Add(int cpu, ReadOnlySpan<byte> record)
    {
        var size = Size(record.Length);
        if (_used[cpu] + size > bytesPerCpu)
        {
            Lost++;
            return -Errno.NoSpace;
        }

        _used[cpu] += size;
        _queues[cpu].Enqueue(record.ToArray());
        _arrived.Release();
        return 0;
    }

    public override bool TryPeek(out ReadOnlySpan<byte> record, out int cpu)
    {
        lock (owner.Gate)
        {
            for (var tried = 0; tried < _queues.Length; tried++)
            {
                if (_queues[_current].TryPeek(out var found))
                {
                    record = found;
                    cpu = _current;
                    return true;
                }

                _current = (_current + 1) % _queues.Length;
            }
        }

        record = default;
        cpu = -1;
        return false;
    }

    public override void Release()
    {
        lock (owner.Gate)
        {
            if (_queues[_current].TryDequeue(out var record))
            {
                _used[_current] -= Size(record.Length);
                _arrived.Wait(0);
            }
        }
    }

    public override async ValueTask WaitAsync(CancellationToken cancellationToken)
    {
        await _arrived.WaitAsync(cancellationToken).ConfigureAwait(false);
        _arrived.Release();
    }

    public override void Dispose() => owner.Close(this);

    private static int Size(int length) => (length + RecordOverhead + 7) & ~7;
}
