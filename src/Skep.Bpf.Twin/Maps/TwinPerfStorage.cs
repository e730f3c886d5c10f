using Skep.Bpf.Buffers;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Twin.Maps;

/// <summary>A perf event array: a queue per CPU with the room of the kernel's ring; without a reader programs get -ENOENT.</summary>
internal sealed unsafe class TwinPerfStorage(BpfMap map, TwinEnvironment environment, Lock gate) : TwinMapStorage(map, environment, gate)
{
    private TwinPerfSource? _reader;

    /// <inheritdoc/>
    public override uint Count => (uint)(_reader?.Waiting ?? 0);

    /// <inheritdoc/>
    public override int Output(byte* record, ulong size)
    {
        RequireLive();
        return _reader is null ? -Errno.NoEntry : _reader.Add((int)Environment.CurrentCpu, new ReadOnlySpan<byte>(record, (int)size));
    }

    /// <inheritdoc/>
    public override PerfEventSource OpenPerfEvents(int pagesPerCpu)
    {
        lock (Gate)
        {
            RequireLive();
            return _reader = new TwinPerfSource(this, Environment.Cpus, pagesPerCpu * System.Environment.SystemPageSize);
        }
    }

    /// <summary>From now on programs get -ENOENT, unless another reader came.</summary>
    internal void Close(TwinPerfSource reader)
    {
        lock (Gate)
        {
            _reader = _reader == reader ? null : _reader;
        }
    }

    /// <inheritdoc/>
    public override byte* Find(byte* key) => null;

    /// <inheritdoc/>
    public override int Update(byte* key, byte* value, ulong mode) => -NoSuchOperation;

    /// <inheritdoc/>
    public override int Delete(byte* key) => -Errno.NoEntry;

    /// <inheritdoc/>
    public override void Dispose()
    {
        lock (Gate)
        {
            IsDisposed = true;
            _reader = null;
        }
    }

    private protected override int ReadEntry(byte* key, byte* value) => -NoSuchOperation;

    private protected override int WriteEntry(byte* key, byte* value, ulong mode) => -Errno.BadDescriptor;

    private protected override int NextEntry(byte* key, byte* next) => -NoSuchOperation;

    private protected override int ReadEntries(ref ulong cursor, byte* keys, byte* values, int capacity, out bool done)
    {
        done = true;
        return -NoSuchOperation;
    }
}
