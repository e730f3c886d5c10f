using System.Runtime.InteropServices;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Buffers;

/// <summary>Writes records for programs into a user ring buffer. One writer at a time; nothing is allocated per record.</summary>
/// <typeparam name="T">Record struct.</typeparam>
public sealed class UserRingBufferWriter<T> : IDisposable
    where T : unmanaged
{
    private readonly UserRingBufferTarget _target;

    /// <summary>Writes to <paramref name="ring"/>, which has storage and is not disposed of before the writer.</summary>
    /// <exception cref="InvalidOperationException">The ring has no storage yet.</exception>
    public UserRingBufferWriter(UserRingBuffer<T> ring)
    {
        ArgumentNullException.ThrowIfNull(ring);
        _target = ring.Storage.OpenUserRingBuffer();
    }

    /// <summary>Records written so far.</summary>
    public long Records { get; private set; }

    /// <summary>Records that the ring had no room for.</summary>
    public long Refused { get; private set; }

    /// <summary>Whether all that was written has been read by programs.</summary>
    public bool IsDrained => _target.IsDrained;

    /// <summary>Appends a copy of <paramref name="record"/>; false when the ring is full: nobody waits for a program to run.</summary>
    public bool TryWrite(in T record)
    {
        if (!_target.TryWrite(MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in record))))
        {
            Refused++;
            return false;
        }

        Records++;
        return true;
    }

    /// <summary>Stops writing; what was written stays for programs.</summary>
    public void Dispose() => _target.Dispose();
}
