using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Bpf.Kernel;
using Skep.Bpf.Maps;
using Skep.Bpf.Twin;

namespace Skep.KernelTests.Maps;

/// <summary>Keys and values of sizes that are no power of two, in the kernel and in the twin.</summary>
public class MapSizeTests
{
    [InlineArray(3)]
    private struct Three
    {
        private byte _first;
    }

    [InlineArray(512)]
    private struct FiveHundredTwelve
    {
        private byte _first;
    }

    [InlineArray(4096)]
    private struct Page
    {
        private byte _first;
    }

    public static TheoryData<bool> Engines => [true, false];

    [KernelTheory]
    [MemberData(nameof(Engines))]
    public void Every_size_of_key_and_value_comes_back_as_it_went_in(bool kernel)
    {
        RoundTrip<byte, byte>(kernel);
        RoundTrip<byte, Page>(kernel);
        RoundTrip<Three, Three>(kernel);
        RoundTrip<Three, byte>(kernel);
        RoundTrip<FiveHundredTwelve, Three>(kernel);
        RoundTrip<FiveHundredTwelve, Page>(kernel);
    }

    [KernelTheory]
    [MemberData(nameof(Engines))]
    public void Values_per_CPU_lie_eight_bytes_apart_or_a_multiple(bool kernel)
    {
        PerCpu<byte>(kernel);
        PerCpu<Three>(kernel);
        PerCpu<Page>(kernel);
    }

    private static void RoundTrip<TKey, TValue>(bool kernel)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        using var map = new HashMap<TKey, TValue>(64, "sizes");
        Bind(map, kernel);
        for (byte i = 0; i < 64; i++)
        {
            map.Set(Filled<TKey>(i), Filled<TValue>((byte)(i ^ 0xFF)));
        }

        var seen = new HashSet<byte>();
        var read = map.ReadAll(
            (key, value) =>
            {
                var number = FirstByte(in key);
                Assert.True(seen.Add(number));
                Assert.Equal(Bytes(Filled<TKey>(number)), Bytes(key));
                Assert.Equal(Bytes(Filled<TValue>((byte)(number ^ 0xFF))), Bytes(value));
            },
            batch: 1);

        Assert.Equal(64, read);
        Assert.True(map.TryGet(Filled<TKey>(63), out var last));
        Assert.Equal(Bytes(Filled<TValue>(63 ^ 0xFF)), Bytes(last));
        Assert.Equal(64, map.Keys.Count());
    }

    private static void PerCpu<TValue>(bool kernel)
        where TValue : unmanaged
    {
        using var map = new PerCpuHashMap<Three, TValue>(4, "sizes");
        Bind(map, kernel);
        var stride = (Unsafe.SizeOf<TValue>() + 7) & ~7;
        var written = new byte[stride * map.Storage.ValuesPerEntry];
        for (var cpu = 0; cpu < map.Storage.ValuesPerEntry; cpu++)
        {
            Bytes(Filled<TValue>((byte)(cpu + 1))).CopyTo(written.AsSpan(cpu * stride));
        }

        Assert.Equal(0, map.Storage.Write(Bytes(Filled<Three>(9)), written, (ulong)UpdateMode.Any));

        var values = new TValue[map.Storage.ValuesPerEntry];
        Assert.True(map.TryGet(Filled<Three>(9), values));
        Assert.False(map.TryGet(Filled<Three>(8), values));
        Assert.Throws<ArgumentException>(() => map.TryGet(Filled<Three>(9), new TValue[values.Length - 1].AsSpan()));
        Assert.Equal(1, map.ReadAll((in Three _, ReadOnlySpan<TValue> perCpu) => Assert.Equal(values.Length, perCpu.Length)));
        for (var cpu = 0; cpu < values.Length; cpu++)
        {
            Assert.Equal(Bytes(Filled<TValue>((byte)(cpu + 1))), Bytes(values[cpu]));
        }
    }

    private static void Bind(BpfMap map, bool kernel)
    {
        if (kernel)
        {
            map.Bind(KernelMapStorage.Create(map));
        }
        else
        {
            new TwinEngine(new TwinOptions { Cpus = PossibleCpus.Count }).Bind(map);
        }
    }

    private static T Filled<T>(byte value)
        where T : unmanaged
    {
        var result = default(T);
        MemoryMarshal.AsBytes(new Span<T>(ref result)).Fill(value);
        return result;
    }

    private static byte[] Bytes<T>(T value)
        where T : unmanaged => MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)).ToArray();

    private static byte FirstByte<T>(in T value)
        where T : unmanaged => MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value))[0];
}
