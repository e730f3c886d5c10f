using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Buffers;

/// <summary>Reads the events of a perf event array. One reader at a time; while there is none, programs get -ENOENT.</summary>
/// <typeparam name="T">Record struct.</typeparam>
public sealed class PerfEventReader<T> : IDisposable
    where T : unmanaged
{
    private readonly PerfEventSource _source;

    /// <summary>Opens a ring per CPU and puts them into the array.</summary>
    /// <param name="events">The array, which has storage and is not disposed of before the reader.</param>
    /// <param name="pagesPerCpu">Size of each ring in pages, a power of two.</param>
    /// <exception cref="BpfException">EPERM without CAP_PERFMON, or beyond the memory that may be locked; EACCES as /proc/sys/kernel/perf_event_paranoid says.</exception>
    public PerfEventReader(PerfEventArray<T> events, int pagesPerCpu = 64)
    {
        ArgumentNullException.ThrowIfNull(events);
        if (pagesPerCpu < 1 || (pagesPerCpu & (pagesPerCpu - 1)) != 0)
        {
            throw new ArgumentOutOfRangeException(nameof(pagesPerCpu), pagesPerCpu, "The size of a ring is a power of two.");
        }

        _source = events.Storage.OpenPerfEvents(pagesPerCpu);
    }

    /// <summary>Events read so far.</summary>
    public long Records { get; private set; }

    /// <summary>Events shorter than <typeparamref name="T"/> among them: the missing end was read as zero.</summary>
    public long ShortRecords { get; private set; }

    /// <summary>Events that a program wrote and a full ring could not take, as told so far.</summary>
    public ulong Lost => _source.Lost;

    /// <summary>Reads until all rings are empty, without waiting; returns the number of events. Nothing is allocated.</summary>
    public int Drain(RecordVisitor<T> visit, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(visit);
        var count = 0;
        while (!cancellationToken.IsCancellationRequested && _source.TryPeek(out var bytes, out _))
        {
            try
            {
                if (bytes.Length >= Unsafe.SizeOf<T>())
                {
                    // Events begin four bytes after a multiple of eight: the record is copied to where it is aligned.
                    var record = MemoryMarshal.Read<T>(bytes);
                    visit(in record);
                }
                else
                {
                    ShortRecords++;
                    var record = default(T);
                    bytes.CopyTo(MemoryMarshal.AsBytes(new Span<T>(ref record)));
                    visit(in record);
                }
            }
            finally
            {
                _source.Release();
                Records++;
            }

            count++;
        }

        return count;
    }

    /// <summary>Completes when there may be an event; at once when there is one.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public ValueTask WaitAsync(CancellationToken cancellationToken = default) => _source.WaitAsync(cancellationToken);

    /// <summary>Drains the rings again and again, as events come, until cancelled.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async Task DrainAsync(RecordVisitor<T> visit, CancellationToken cancellationToken)
    {
        while (true)
        {
            await _source.WaitAsync(cancellationToken).ConfigureAwait(false);
            Drain(visit, cancellationToken);
        }
    }

    /// <summary>Stops reading: the rings go, and programs get -ENOENT. Not while another thread is in a read.</summary>
    public void Dispose() => _source.Dispose();
}
