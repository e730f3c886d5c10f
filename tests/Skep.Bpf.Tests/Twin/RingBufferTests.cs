using System.Runtime.InteropServices;
using Skep.Bpf.Buffers;
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
        using var source = ring.Storage.OpenRingBuffer();
        for (var i = 0ul; i < 1000; i++)
        {
            Assert.Equal(0, ring.Output(new Event(i, 1)));
            Assert.Equal(0, ring.Output(new Event(i, 2)));
            Assert.Equal(new Event(i, 1), Peek(source));
            Assert.Equal(new Event(i, 1), Peek(source));
            source.Release();
            Assert.Equal(new Event(i, 2), Peek(source));
            source.Release();
        }

        Assert.Null(Peek(source));
    }

    [Fact]
    public void A_full_ring_refuses_and_counts()
    {
        var ring = new RingBuffer<Event>(4096).BoundTo(_twin);
        var accepted = 0;
        while (ring.Output(default) == 0)
        {
            accepted++;
        }

        // Each record takes 8 + 16 bytes, and the last byte of the ring stays free: floor(4095 / 24).
        Assert.Equal(170, accepted);
        Assert.Equal(-Errno.TryAgain, ring.Output(default));
        Assert.Equal(2ul, ((TwinRingStorage)ring.Storage).Lost);
        using var source = ring.Storage.OpenRingBuffer();
        source.Release();
        Assert.Equal(0, ring.Output(default));
    }

    [Fact]
    public async Task A_reader_waits_for_the_next_record()
    {
        var ring = new RingBuffer<Event>(4096).BoundTo(_twin);
        using var source = ring.Storage.OpenRingBuffer();
        var waiting = source.WaitAsync(TestContext.Current.CancellationToken).AsTask();
        Assert.False(waiting.IsCompleted);
        ring.Output(new Event(3, 4));
        await waiting;
        Assert.Equal(new Event(3, 4), Peek(source));
        Assert.True(source.WaitAsync(default).IsCompletedSuccessfully);
    }

    [Fact]
    public async Task A_wait_ends_when_cancelled_or_when_the_map_goes()
    {
        var ring = new RingBuffer<Event>(4096).BoundTo(_twin);
        using var source = ring.Storage.OpenRingBuffer();
        using var cancel = new CancellationTokenSource();
        var cancelled = source.WaitAsync(cancel.Token).AsTask();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        var orphaned = source.WaitAsync(default).AsTask();
        ring.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => orphaned);
    }

    private static Event? Peek(RingBufferSource source) => source.TryPeek(out var record) ? MemoryMarshal.Read<Event>(record) : null;
}
