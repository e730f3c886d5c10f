using Skep.Bpf.Buffers;
using Skep.Bpf.Maps;

namespace Skep.Tests.Flows;

internal static class RingContent
{
    /// <summary>All records that wait in the ring.</summary>
    public static List<T> Drain<T>(this RingBuffer<T> ring)
        where T : unmanaged
    {
        using var reader = new RingBufferReader<T>(ring);
        var records = new List<T>();
        reader.Drain((in T record) => records.Add(record));
        return records;
    }
}
