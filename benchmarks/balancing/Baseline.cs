using System.Runtime.InteropServices;
using Skep.Bpf.Maps;
using Skep.Packets;

namespace Skep.Benchmarks.Balancing;

/// <summary>The maps of balancer.c, filled with the same endpoints and backends as ours.</summary>
internal sealed class Baseline : IDisposable
{
    private const uint StatisticsOfVips = 16387;
    private const uint Connections = 1_000_000;

    private readonly HashMap<VipKey, Vip> _vips;
    private readonly ArrayOfMaps<LruHashMap<Flow, Slot>> _tables;
    private readonly LruHashMap<Flow, Slot> _table = new(Connections, "base_table");
    private readonly ArrayMap<uint> _ring;
    private readonly ArrayMap<Real> _reals;
    private readonly ArrayMap<ulong> _control = new(4, "base_control");
    private readonly PerCpuArrayMap<Counter> _vipCounters = new(StatisticsOfVips, "base_vip_stats");
    private readonly PerCpuArrayMap<Counter> _realCounters;
    private readonly PerCpuArrayMap<Counter> _rates = new(1, "base_rates");

    internal Baseline(IReadOnlyList<(IpAddress Address, IpProtocol Protocol)> vips, int backends, int ringSize)
    {
        _vips = new((uint)Math.Max(512, vips.Count), "base_vips");
        _tables = new((uint)Environment.ProcessorCount, new LruHashMap<Flow, Slot>(Connections), "base_lru");
        _ring = new((uint)(ringSize * vips.Count), "base_ring");
        _reals = new((uint)(2 * (backends + 1)), "base_reals");
        _realCounters = new((uint)(2 * (backends + 1)), "base_real_stats");
        foreach (var map in All)
        {
            map.Bind(KernelMapStorage.Create(map));
        }

        for (var cpu = 0u; cpu < Environment.ProcessorCount; cpu++)
        {
            _tables.Set(cpu, _table);
        }

        Fill(_vips, _ring, _reals, _control, vips, backends, ringSize, ipv6: 1);
    }

    internal IEnumerable<BpfMap> All => [_vips, _tables, _table, _ring, _reals, _control, _vipCounters, _realCounters, _rates];

    public void Dispose()
    {
        foreach (var map in All)
        {
            map.Dispose();
        }
    }

    /// <summary>Enters endpoints, rings, backends and the next hop's address; <paramref name="ipv6"/> are the flags of an endpoint of IPv6.</summary>
    internal static void Fill(
        HashMap<VipKey, Vip> endpoints, ArrayMap<uint> ring, ArrayMap<Real> reals, ArrayMap<ulong> control,
        IReadOnlyList<(IpAddress Address, IpProtocol Protocol)> vips, int backends, int ringSize, uint ipv6)
    {
        var macs = MemoryMarshal.Read<ulong>(stackalloc byte[] { 2, 0, 0, 0, 0, 0xbb, 0, 0 });
        control.Set(0, in macs);
        for (var i = 1; i <= backends; i++)
        {
            var real = new Real { Address = Raw(Setting.Backend(i)) };
            reals.Set((uint)i, in real);
            var real6 = new Real { Address = Raw(Setting.Backend6(i)), Flags = 1 };
            reals.Set((uint)(backends + 1 + i), in real6);
        }

        var keys = new uint[ringSize];
        var values = new uint[ringSize];
        for (var number = 0; number < vips.Count; number++)
        {
            var (address, protocol) = vips[number];
            var key = new VipKey { Address = Raw(address), RawPort = NetworkUInt16.From(Setting.Port).Raw, Protocol = (byte)protocol };
            var vip = new Vip { Number = (uint)number, Flags = address.IsIPv4 ? 0u : ipv6 };
            endpoints.Set(in key, in vip);
            for (var slot = 0; slot < ringSize; slot++)
            {
                keys[slot] = (uint)((number * ringSize) + slot);
                values[slot] = (uint)(1 + (slot % backends) + (address.IsIPv4 ? 0 : backends + 1));
            }

            ring.SetAll(keys, values);
        }
    }

    private static RawAddress Raw(IpAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.WriteBytes(bytes);
        return address.IsIPv4 ? new RawAddress { A = MemoryMarshal.Read<uint>(bytes[12..]) } : MemoryMarshal.Read<RawAddress>(bytes);
    }

    internal struct RawAddress
    {
        internal uint A, B, C, D;
    }

    internal struct VipKey
    {
        internal RawAddress Address;
        internal ushort RawPort;
        internal byte Protocol;
        internal byte Padding;
    }

    internal struct Vip
    {
        internal uint Flags;
        internal uint Number;
    }

    internal struct Flow
    {
        internal RawAddress Source, Destination;
        internal uint Ports;
        internal uint Protocol;
    }

    internal struct Slot
    {
        internal uint Real;
        internal uint Padding;
        internal ulong Time;
    }

    internal struct Real
    {
        internal RawAddress Address;
        internal uint Flags;
    }

    internal struct Counter
    {
        internal ulong Packets;
        internal ulong Bytes;
    }
}
