using Skep.Bpf.Maps;
using Skep.Bpf.Twin;

namespace Skep.KernelTests.Conformance;

/// <summary>The same random operations on a map of the kernel and one of the twin: the same statuses, the same contents.</summary>
public class RandomMapOperations
{
    private const int Steps = 20_000;

    private record struct Prefix(uint Length, uint A, uint B, uint C, uint D);

    private record struct Key12(uint A, uint B, uint C);

    [KernelTheory]
    [InlineData(1)]
    [InlineData(2)]
    public void Hash(int seed) => Compare(
        () => new HashMap<Key12, ulong>(60), random => new Key12((uint)random.Next(80), 0, 7), seed);

    [KernelTheory]
    [InlineData(3)]
    public void Array(int seed) => Compare(() => new ArrayMap<ulong>(20), random => (uint)random.Next(25), seed);

    [KernelTheory]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    public void Trie(int seed) => Compare(() => new LpmTrie<Prefix, ulong>(60), RandomPrefix, seed);

    private static void Compare<TKey>(Func<ValueMap<TKey, ulong>> make, Func<Random, TKey> keyOf, int seed)
        where TKey : unmanaged
    {
        using var inKernel = make();
        using var inTwin = make();
        using var twin = new TwinEngine();
        inKernel.Bind(KernelMapStorage.Create(inKernel));
        twin.Bind(inTwin);
        var random = new Random(seed);
        for (var step = 0; step < Steps; step++)
        {
            var key = keyOf(random);
            var value = (ulong)step;
            switch (random.Next(5))
            {
                case 0:
                    Assert.Equal(Remove(inKernel, key), Remove(inTwin, key));
                    break;
                case 1:
                    var found = inKernel.TryGet(key, out var expected);
                    Assert.Equal(found, inTwin.TryGet(key, out var actual));
                    Assert.Equal(expected, actual);
                    break;
                case 2 when step % 16 == 0 && inKernel.Kind != MapKind.Hash:
                    // Order is part of the promise for arrays and tries; hash buckets are nobody's business.
                    Assert.Equal(inKernel.Keys.ToArray(), inTwin.Keys.ToArray());
                    break;
                default:
                    var mode = (UpdateMode)random.Next(3);
                    Assert.Equal(inKernel.TrySet(key, value, mode), inTwin.TrySet(key, value, mode));
                    break;
            }
        }

        Assert.Equal(Contents(inKernel), Contents(inTwin));
    }

    private static int Remove<TKey>(ValueMap<TKey, ulong> map, TKey key)
        where TKey : unmanaged =>
        map.Storage.Remove(System.Runtime.InteropServices.MemoryMarshal.AsBytes(new ReadOnlySpan<TKey>(in key)));

    private static Dictionary<TKey, ulong> Contents<TKey>(ValueMap<TKey, ulong> map)
        where TKey : unmanaged
    {
        var contents = new Dictionary<TKey, ulong>();
        map.ReadAll((k, v) => contents.Add(k, v));
        return contents;
    }

    /// <summary>Few distinct bits over the whole address, so that prefixes nest and part; bits behind the prefix are set too at times.</summary>
    private static Prefix RandomPrefix(Random random)
    {
        uint[] lengths = [0, 1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 129];
        var bytes = new byte[16];
        foreach (var bit in new[] { 0, 7, 8, 31, 32, 64, 127 })
        {
            if (random.Next(2) == 1)
            {
                bytes[bit / 8] |= (byte)(0x80 >> (bit % 8));
            }
        }

        return new Prefix(
            lengths[random.Next(lengths.Length)],
            BitConverter.ToUInt32(bytes, 0),
            BitConverter.ToUInt32(bytes, 4),
            BitConverter.ToUInt32(bytes, 8),
            BitConverter.ToUInt32(bytes, 12));
    }
}
