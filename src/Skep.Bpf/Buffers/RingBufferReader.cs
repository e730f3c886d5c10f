using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Buffers;

/// <summary>Takes one record of a ring buffer; the record is gone when it returns.</summary>
public delegate void RecordVisitor<T>(in T record)
    where T : unmanaged;

/// <summary>Takes the bytes of one record of a ring buffer; they are gone when it returns.</summary>
public delegate void RecordBytesVisitor(ReadOnlySpan<byte> record);

/// <summary>
/// Reads the records of a ring buffer, from the kernel or from a twin. One reader at a time. What does not fit into the ring is lost in the
/// program: let it count the failures of <see cref="RingBuffer{T}.Output"/>.
/// </summary>
/// <typeparam name="T">Record struct.</typeparam>
public sealed class RingBufferReader<T> : IDisposable
    where T : unmanaged
{
    private readonly RingBufferSource _source;
    private readonly ShortRecord<T> _decode;

    /// <summary>Reads <paramref name="ring"/>, which has storage and is not disposed of before the reader.</summary>
    /// <exception cref="InvalidOperationException">The ring has no storage yet.</exception>
    public RingBufferReader(RingBuffer<T> ring)
    {
        ArgumentNullException.ThrowIfNull(ring);
        _source = ring.Storage.OpenRingBuffer();
        _decode = Decode;
    }

    /// <summary>Records read so far.</summary>
    public long Records { get; private set; }

    /// <summary>Records shorter than <typeparamref name="T"/> among them: the missing end was read as zero.</summary>
    public long ShortRecords { get; private set; }

    /// <summary>Reads the oldest record; false when there is none now.</summary>
    public bool TryRead(out T record)
    {
        if (!_source.TryPeek(out var bytes))
        {
            record = default;
            return false;
        }

        record = Decode(bytes);
        _source.Release();
        Records++;
        return true;
    }

    /// <summary>
    /// Reads until the ring is empty, without copying and without waiting; returns the number of records. Programs that write as fast as
    /// this reads keep it busy: <paramref name="cancellationToken"/> ends it between two records. Room in the ring is given back in parts of it, not record by record.
    /// </summary>
    /// <exception cref="InvalidOperationException"><paramref name="visit"/> reads from the reader that calls it, or disposes of it.</exception>
    public int Drain(RecordVisitor<T> visit, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(visit);
        var before = Records;
        if (_source is KernelRingBufferSource kernel)
        {
            var records = before;
            try
            {
                kernel.Drain(visit, _decode, ref records, cancellationToken);
            }
            finally
            {
                Records = records;
            }
        }
        else
        {
            DrainOneByOne(visit, cancellationToken);
        }

        return (int)(Records - before);
    }

    /// <summary>As <see cref="Drain"/>, for records of different sizes.</summary>
    public int DrainBytes(RecordBytesVisitor visit, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(visit);
        var count = 0;
        while (!cancellationToken.IsCancellationRequested && _source.TryPeek(out var bytes))
        {
            try
            {
                visit(bytes);
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

    /// <summary>Completes when there may be a record; at once when there is one.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public ValueTask WaitAsync(CancellationToken cancellationToken = default) => _source.WaitAsync(cancellationToken);

    /// <summary>Drains the ring again and again, as records come, until cancelled. Nothing is allocated per record.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async Task DrainAsync(RecordVisitor<T> visit, CancellationToken cancellationToken)
    {
        while (true)
        {
            await _source.WaitAsync(cancellationToken).ConfigureAwait(false);
            Drain(visit, cancellationToken);
        }
    }

    /// <summary>All records as they come, until cancelled.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async IAsyncEnumerable<T> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        while (true)
        {
            await _source.WaitAsync(cancellationToken).ConfigureAwait(false);
            while (!cancellationToken.IsCancellationRequested && TryRead(out var record))
            {
                yield return record;
            }
        }
    }

    /// <summary>Stops reading; the ring stays. Not while another thread is in a read: the pages go. End a waiting reader by its token first.</summary>
    public void Dispose() => _source.Dispose();

    private void DrainOneByOne(RecordVisitor<T> visit, CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested && _source.TryPeek(out var bytes))
        {
            try
            {
                visit(Decode(bytes));
            }
            finally
            {
                _source.Release();
                Records++;
            }
        }
    }

    private T Decode(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length >= Unsafe.SizeOf<T>())
        {
            return MemoryMarshal.Read<T>(bytes);
        }

        ShortRecords++;
        var record = default(T);
        bytes.CopyTo(MemoryMarshal.AsBytes(new Span<T>(ref record)));
        return record;
    }
}
