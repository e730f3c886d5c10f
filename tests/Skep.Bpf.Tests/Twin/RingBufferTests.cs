using System.Runtime.InteropServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Maps;

namespace Skep.Bpf.Tests.TwinTests;

public sealed class RingBufferTests : IDisposable
{
    private readonly TwinEngine _twin = new();

    private record struct Event(ulong Number, uint Kind);

    public void Dispose() => _twin.Dispose();

    [Fact]
    public void Records_come_out_in_order_across_the_end_of_the_ring()
    {
        var ring = new RingBuffer<Event>(4096).BoundTo(_twin);
        var storage = (TwinRingStorage)ring.Storage;
        var record = new Event[1];
        for (var i = 0ul; i < 1000; i++)
        {
            Assert.Equal(0, ring.Output(new Event(i, 1)));
            Assert.Equal(0, ring.Output(new Event(i, 2)));
            Assert.True(storage.TryTake(MemoryMarshal.AsBytes(record.AsSpan()), out var length));
            Assert.Equal(16, length);
            Assert.Equal(new Event(i, 1), record[0]);
            Assert.True(storage.TryTake(MemoryMarshal.AsBytes(record.AsSpan()), out _));
            Assert.Equal(new Event(i, 2), record[0]);
        }

        Assert.False(storage.TryTake(MemoryMarshal.AsBytes(record.AsSpan()), out _));
    }

    [Fact]
    public void A_full_ring_refuses_and_counts()
    {
        var ring = new RingBuffer<Event>(4096).BoundTo(_twin);
        var storage = (TwinRingStorage)ring.Storage;
        var accepted = 0;
        while (ring.Output(default) == 0)
        {
            accepted++;
        }

        // Each record takes 8 + 16 bytes, and the last byte of the ring stays free: floor(4095 / 24).
        Assert.Equal(170, accepted);
        Assert.Equal(-Errno.TryAgain, ring.Output(default));
        Assert.Equal(2ul, storage.Lost);
        Assert.True(storage.TryTake(default, out _));
        Assert.Equal(0, ring.Output(default));
    }
}
