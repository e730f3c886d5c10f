using System.Net;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Twin;

namespace Skep.Bpf.Tests.TwinTests;

public sealed class LpmTrieTests : IDisposable
{
    private readonly TwinEngine _twin = new();

    private record struct Prefix(uint Length, uint Address)
    {
        public static Prefix Parse(string text)
        {
            var network = text.Split('/');
            return new Prefix(uint.Parse(network[1]), MemoryMarshal.Read<uint>(IPAddress.Parse(network[0]).GetAddressBytes()));
        }

        public override readonly string ToString() => $"{new IPAddress(Address)}/{Length}";
    }

    private record struct Prefix6(uint Length, uint A, uint B, uint C, uint D);

    public void Dispose() => _twin.Dispose();

    [Theory]
    [InlineData("10.1.2.3/32", 24u)]
    [InlineData("10.1.9.3/32", 16u)]
    [InlineData("10.9.9.3/32", 8u)]
    [InlineData("11.9.9.3/32", 0u)]
    [InlineData("10.1.2.0/20", 16u)]
    public void The_longest_prefix_wins(string address, uint expected)
    {
        var trie = Of("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24");
        Assert.Equal(expected, trie.Find(Prefix.Parse(address)));
    }

    [Fact]
    public void An_address_without_a_prefix_is_not_found()
    {
        var trie = Of("10.1.0.0/16", "10.2.0.0/16");
        Assert.True(Unsafe.IsNullRef(ref trie.Find(Prefix.Parse("10.3.0.1/32"))));
        Assert.False(trie.TryGet(Prefix.Parse("10.0.0.0/8"), out _));
    }

    [Fact]
    public void Errors_are_those_of_the_kernel()
    {
        var trie = Of("10.1.0.0/16", "10.2.0.0/16");
        Assert.Equal(-Errno.Exists, trie.Update(Prefix.Parse("10.1.0.0/16"), 1, UpdateMode.NoExist));
        Assert.Equal(-Errno.NoEntry, trie.Update(Prefix.Parse("10.0.0.0/14"), 1, UpdateMode.Exist));
        Assert.Equal(-Errno.NoEntry, trie.Delete(Prefix.Parse("10.0.0.0/14")));
        Assert.Equal(-Errno.Invalid, trie.Update(new Prefix(33, 0), 1, UpdateMode.Any));
        Assert.Equal(-Errno.Invalid, trie.Delete(new Prefix(33, 0)));
        Assert.Equal(-Errno.Invalid, trie.Update(new Prefix(3, 0), 1, (UpdateMode)3));
        Assert.True(Unsafe.IsNullRef(ref trie.Find(new Prefix(33, 0))));
        for (var i = 0u; i < 14; i++)
        {
            Assert.Equal(0, trie.Update(new Prefix(32, i), 1, UpdateMode.NoExist));
        }

        Assert.Equal(-Errno.NoSpace, trie.Update(new Prefix(32, 99), 1, UpdateMode.Any));
        Assert.Equal(0, trie.Update(new Prefix(32, 9), 1, UpdateMode.Any));
    }

    [Fact]
    public void Iteration_gives_the_more_specific_first()
    {
        var trie = Of("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16", "192.168.0.0/16");
        Assert.Equal(["10.1.0.0/16", "10.2.0.0/16", "10.0.0.0/8", "192.168.0.0/16", "0.0.0.0/0"], trie.Keys.Select(k => k.ToString()));
        Assert.Equal(5, trie.ReadAll((_, _) => { }, 2));
    }

    [Fact]
    public void A_replacement_leaves_the_old_value_to_who_holds_it()
    {
        var trie = Of("10.0.0.0/8");
        ref var held = ref trie.Find(Prefix.Parse("10.0.0.1/32"));
        trie.Update(Prefix.Parse("10.0.0.0/8"), 77, UpdateMode.Exist);
        Assert.Equal(8u, held);
        Assert.Equal(77u, trie.Find(Prefix.Parse("10.0.0.1/32")));
    }

    [Fact]
    public void It_agrees_with_a_list_of_prefixes()
    {
        var trie = new LpmTrie<Prefix6, uint>(40).BoundTo(_twin);
        var model = new Dictionary<Prefix6, uint>();
        var random = new Random(5);
        for (var step = 0; step < 30_000; step++)
        {
            var key = Random6(random);
            switch (random.Next(4))
            {
                case 0:
                    Assert.Equal(model.Remove(key) ? 0 : -Errno.NoEntry, trie.Delete(key));
                    break;
                case 1:
                    var expected = model.Where(e => Covers(e.Key, key)).OrderByDescending(e => e.Key.Length).Select(e => (uint?)e.Value).FirstOrDefault();
                    ref var found = ref trie.Find(key);
                    Assert.Equal(expected, Unsafe.IsNullRef(ref found) ? null : found);
                    break;
                default:
                    var status = trie.Update(key, (uint)step, UpdateMode.Any);
                    Assert.Equal(!model.ContainsKey(key) && model.Count == 40 ? -Errno.NoSpace : 0, status);
                    if (status == 0)
                    {
                        model[key] = (uint)step;
                    }

                    break;
            }
        }

        Assert.Equal(model.Keys.ToHashSet(), trie.Keys.ToHashSet());
        var batch = new Dictionary<Prefix6, uint>();
        trie.ReadAll((k, v) => batch.Add(k, v), 3);
        Assert.Equal(model, batch);
    }

    /// <summary>Prefixes over few distinct bits spread over the address, so that they nest and part often.</summary>
    private static Prefix6 Random6(Random random)
    {
        uint[] lengths = [0, 1, 8, 9, 31, 32, 33, 64, 65, 127, 128];
        var length = lengths[random.Next(lengths.Length)];
        var bytes = new byte[16];
        foreach (var bit in new[] { 0, 8, 31, 32, 64, 126, 127 })
        {
            if (bit < length && random.Next(2) == 1)
            {
                bytes[bit / 8] |= (byte)(0x80 >> (bit % 8));
            }
        }

        return new Prefix6(
            length, BitConverter.ToUInt32(bytes, 0), BitConverter.ToUInt32(bytes, 4), BitConverter.ToUInt32(bytes, 8), BitConverter.ToUInt32(bytes, 12));
    }

    private static bool Covers(Prefix6 prefix, Prefix6 key)
    {
        if (prefix.Length > key.Length)
        {
            return false;
        }

        var a = MemoryMarshal.AsBytes(new ReadOnlySpan<Prefix6>(in prefix))[4..];
        var b = MemoryMarshal.AsBytes(new ReadOnlySpan<Prefix6>(in key))[4..];
        for (var bit = 0; bit < prefix.Length; bit++)
        {
            if (((a[bit / 8] ^ b[bit / 8]) & (0x80 >> (bit % 8))) != 0)
            {
                return false;
            }
        }

        return true;
    }

    private LpmTrie<Prefix, uint> Of(params string[] prefixes)
    {
        var trie = new LpmTrie<Prefix, uint>(16).BoundTo(_twin);
        foreach (var prefix in prefixes.Select(Prefix.Parse))
        {
            trie.Set(prefix, prefix.Length);
        }

        return trie;
    }
}
