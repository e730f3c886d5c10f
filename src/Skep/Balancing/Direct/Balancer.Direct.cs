using System.Runtime.InteropServices;
using Skep.Bpf;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Services with direct return.</summary>
public sealed partial class Balancer
{
    private readonly VipTable _vips;
    private readonly Dictionary<uint, (ForwardingMode Mode, BackendModel Model, Tunnel Written)> _tunnels = [];
    private IReadOnlyDictionary<IpAddress, BackendPath> _hops = new Dictionary<IpAddress, BackendPath>();

    /// <summary>Addresses of backends with direct return, for which next hops are wanted.</summary>
    public IReadOnlyCollection<IpAddress> WantedHops => [.. _tunnels.Values.Select(t => t.Model.Address).Distinct()];

    /// <summary>Packets of each service with direct return, by its id, since its backends were added: one pass over the counters.</summary>
    /// <exception cref="BpfException">The kernel refused to read.</exception>
    public IReadOnlyDictionary<uint, ulong> CountDirectPackets()
    {
        var packets = _served.Values.Where(s => s.Direct is not null).ToDictionary(s => s.Id, _ => 0UL);
        var owners = _tunnels.ToDictionary(t => t.Key, t => t.Value.Written.Owner - 1);
        _maps.BackendCounters.ReadAll((in uint backend, ReadOnlySpan<BackendCounter> perCpu) =>
        {
            if (owners.TryGetValue(backend, out var service) && packets.ContainsKey(service))
            {
                foreach (ref readonly var counter in perCpu)
                {
                    packets[service] += counter.Packets;
                }
            }
        });
        return packets;
    }

    /// <summary>Index of the interface by which packets leave for a backend; 0 while its next hop is not known.</summary>
    public int InterfaceTo(IpAddress backend) => _hops.TryGetValue(backend, out var hop) ? hop.Interface : 0;

    /// <summary>Has programs sample connections with direct return by this mask; see <see cref="SampleRate"/>.</summary>
    public void Sample(uint mask) => _maps.Direct.SampleMask.Value = mask;

    /// <summary>Takes over the ways to backends; entries whose way changed are written at once.</summary>
    /// <returns>Backends of which the way changed.</returns>
    /// <exception cref="BpfException">The kernel refused to write.</exception>
    public int SetNextHops(IReadOnlyDictionary<IpAddress, BackendPath> hops)
    {
        ArgumentNullException.ThrowIfNull(hops);
        var others = hops.Where(h => !_hops.TryGetValue(h.Key, out var known) || known != h.Value).Select(h => h.Key)
            .Concat(_hops.Keys.Where(k => !hops.ContainsKey(k))).ToHashSet();
        _hops = hops;
        var changed = 0;
        foreach (var (id, tunnel) in others.Count == 0 ? [] : _tunnels.Where(t => others.Contains(t.Value.Model.Address)).ToArray())
        {
            changed += WriteTunnel(id, tunnel.Written.Owner - 1, tunnel.Mode, tunnel.Model) ? 1 : 0;
        }

        return changed;
    }

    /// <summary>Whether the way to a backend with direct return is known down to the Ethernet address of the next hop.</summary>
    public bool IsReachable(IpAddress backend) => _hops.TryGetValue(backend, out var path) && path.Interface != 0;

    private void WriteTunnels(
        ServiceModel service, uint serviceId, IEnumerable<(Member Member, BackendModel Model)> members, Action<BalancerProblemKind, string> report)
    {
        foreach (var (member, model) in members)
        {
            if (member.Id >= _maps.Direct.Tunnels.MaxEntries)
            {
                report(BalancerProblemKind.TooManyBackends, $"backend {model.Address} finds no room among {_maps.Direct.Tunnels.MaxEntries - 1} with direct return; packets for it are dropped.");
                continue;
            }

            WriteTunnel(member.Id, serviceId, service.Forwarding, model);
            if (!_hops.ContainsKey(model.Address))
            {
                report(BalancerProblemKind.NoRoute, $"there is no route to backend {model.Address}; packets for it are dropped.");
            }
        }
    }

    private void RemoveTunnel(uint id)
    {
        if (_tunnels.Remove(id) || (id < _maps.Direct.Tunnels.MaxEntries && _maps.Direct.Tunnels.TryGet(id, out var tunnel) && tunnel.Owner != 0))
        {
            _maps.Direct.Tunnels.Set(id, default);
        }
    }

    private bool WriteTunnel(uint id, uint serviceId, ForwardingMode mode, BackendModel backend)
    {
        var tunnel = Tunnel.Of(serviceId, mode, backend, _hops.TryGetValue(backend.Address, out var hop) ? hop : null);
        if (_tunnels.TryGetValue(id, out var before) && IsSame(in before.Written, in tunnel))
        {
            _tunnels[id] = (mode, backend, tunnel);
            return false;
        }

        _maps.Direct.Tunnels.Set(id, in tunnel);
        _tunnels[id] = (mode, backend, tunnel);
        return true;
    }

    private void AdoptDirect(Dictionary<uint, List<Member>> byId)
    {
        var sources = new Dictionary<uint, HashSet<SourceKey>>();
        _maps.Direct.Sources.ReadAll((source, _) =>
        {
            if (!sources.TryGetValue(source.Service, out var known))
            {
                sources.Add(source.Service, known = []);
            }

            known.Add(source);
        });
        foreach (var slot in _vips.Entries.ToArray())
        {
            var isRange = slot.FirstPort != slot.LastPort;
            var key = new ServiceKey
            {
                Address = slot.Address,
                RawPort = NetworkUInt16.From(slot.FirstPort).Raw | (isRange ? (uint)NetworkUInt16.From(slot.LastPort).Raw << 16 : 0),
                Protocol = (slot.Key >> 16) & 0xFF,
            };
            var state = new DirectState(slot.Key, slot.Flags, sources.GetValueOrDefault(slot.Service) ?? []);
            if (_served.TryGetValue(key, out var both))
            {
                // An agent that died while the service changed its way.
                both.Direct = state;
            }
            else if (_serviceIds.Adopt(slot.Service) && _maps.Direct.Services.TryGet(slot.Service, out var row))
            {
                var ring = _rings.Adopt(new RingPlace(row.RingStart, (int)row.RingSlots, row.FormerStart != 0));
                byId.Remove(slot.Service, out var members);
                _served.Add(key, new Served { Id = slot.Service, Ring = ring, Direct = state, Members = [.. members ?? []] });
                _servicesOfAddress[key.Address] = _servicesOfAddress.GetValueOrDefault(key.Address) + 1;
            }
        }

        AdoptSources(_served.Values, sources);
    }

    private static void AdoptSources(IEnumerable<Served> served, Dictionary<uint, HashSet<SourceKey>> sources)
    {
        foreach (var service in served)
        {
            service.BackendSources = sources.GetValueOrDefault(service.Id | SourceKey.Backends) ?? [];
            service.ClientSources = service.Direct is null or { Flags: VipFlags.Rewritten } ? sources.GetValueOrDefault(service.Id) ?? [] : [];
        }
    }

    /// <summary>Whether what stands beside the ring needs no writing.</summary>
    private static bool IsAsBefore(ServiceModel service, Served served) => service.Forwarding == ForwardingMode.Nat
        ? service.LastPort is null ? served.Direct is null : served.Direct is { Flags: var flags } && (flags & VipFlags.Rewritten) != 0
        : served.Direct?.Model is { } model
            && (model.LastPort, model.ClientPrefix, model.Tracking, model.QuicConfigs, QuicLengthOf(model), FlagsOf(model))
                == (service.LastPort, service.ClientPrefix, service.Tracking, service.QuicConfigs, QuicLengthOf(service), FlagsOf(service))
            && model.SourceRanges.AsSpan().SequenceEqual(service.SourceRanges.AsSpan());

    /// <summary>Says where a service's ring is, in the table of its way. 0 or a negative errno.</summary>
    private int WriteEntry(ServiceKey key, Served served, RingPlace ring)
    {
        if (served.Wanted is { Forwarding: not ForwardingMode.Nat } direct)
        {
            var status = WriteDirect(direct, served, ring);
            if (status == 0)
            {
                _maps.Services.Remove(in key);
            }

            return status;
        }

        if (served is { Wanted: null, Direct: { } adopted } && (adopted.Flags & VipFlags.Rewritten) == 0)
        {
            // Only its ring moves: what it is asked to be is not known yet.
            _maps.Direct.Services.TryGet(served.Id, out var row);
            (row.RingStart, row.RingSlots, row.FormerStart) = (ring.Start, (uint)ring.Slots, _rings.FormerStart(ring));
            return _maps.Direct.Services.TrySet(served.Id, in row);
        }

        // The entry before the range that leads to it.
        var written = _maps.Services.TrySet(in key, EntryOf(served, ring));
        if (written == 0 && served.Wanted is { LastPort: not null } ranged)
        {
            return WriteVip(ranged, served, []);
        }

        if (written == 0 && served.Wanted is not null)
        {
            RemoveDirect(key, served);
        }

        return written;
    }

    private int WriteDirect(ServiceModel service, Served served, RingPlace ring)
    {
        if (served.Id > ushort.MaxValue)
        {
            return -Errno.TooBig;
        }

        var (upper, lower) = MaskOf(service);
        var row = new DirectService
        {
            RingStart = ring.Start,
            RingSlots = (uint)ring.Slots,
            ClientMaskUpper = upper,
            ClientMaskLower = lower,
            QuicIdLength = QuicLengthOf(service),
            QuicConfigs = service.QuicConfigs,
            FormerStart = _rings.FormerStart(ring),
        };
        var sources = service.SourceRanges.Select(p => SourceKey.Of(served.Id, p)).ToHashSet();
        foreach (var source in sources.Where(s => served.Direct is null || !served.Direct.Sources.Contains(s)))
        {
            if (_maps.Direct.Sources.TrySet(in source, 1) is var written and < 0)
            {
                return written;
            }
        }

        var status = _maps.Direct.Services.TrySet(served.Id, in row);
        return status < 0 ? status : WriteVip(service, served, sources);
    }

    private int WriteVip(ServiceModel service, Served served, HashSet<SourceKey> sources)
    {
        var before = served.Direct;
        var flags = FlagsOf(service);
        var rank = 0;
        if (service.LastPort is not null)
        {
            rank = before is { } known ? (int)(known.SlotKey >> 24) : FreeRank(service);
            if (rank < 0)
            {
                return -Errno.TooBig;
            }

            flags |= HasRange(service, rank + 1) ? VipFlags.MoreRanges : VipFlags.None;
        }

        var key = VipSlot.KeyOf(service.LastPort is null ? NetworkUInt16.From(service.Port).Raw : (ushort)0, service.Protocol, rank);
        var slot = new VipSlot
        {
            Address = service.Address,
            Key = key,
            Service = (ushort)served.Id,
            Flags = flags,
            FirstPort = service.Port,
            LastPort = service.LastPort ?? service.Port,
        };
        var status = _vips.Set(in slot);
        if (status < 0)
        {
            return status;
        }

        if (rank > 0)
        {
            Link(service.Address, VipSlot.KeyOf(0, service.Protocol, rank - 1), more: true);
        }

        foreach (var source in before?.Sources.Where(s => !sources.Contains(s) && !served.ClientSources.Contains(s)) ?? [])
        {
            _maps.Direct.Sources.Remove(in source);
        }

        served.Direct = new DirectState(key, flags, sources) { Model = service };
        return 0;
    }

    private void RemoveDirect(ServiceKey key, Served served)
    {
        if (served.Direct is not { } state)
        {
            return;
        }

        served.Direct = null;
        RemoveQuicServers(served.Id, []);

        // Ranges of one address stand in a row: the last one takes the place of the one that goes.
        var rank = (int)(state.SlotKey >> 24);
        var isRange = (state.SlotKey & 0xFFFF) == 0;
        var others = isRange ? Ranges(key.Address, key.Protocol).OrderBy(s => s.Key >> 24).ToArray() : [];
        if (isRange && others.Length > 0 && (int)(others[^1].Key >> 24) > rank)
        {
            var last = others[^1];
            var owner = _served.First(s => s.Key.Address == key.Address && s.Value.Direct is { } own && own.SlotKey == last.Key).Value;
            var takes = last with { Key = state.SlotKey, Flags = last.Flags | (state.Flags & VipFlags.MoreRanges) };
            _vips.Set(in takes);
            owner.Direct = owner.Direct! with { SlotKey = takes.Key, Flags = takes.Flags };
            rank = (int)(last.Key >> 24);
            _vips.Remove(key.Address, last.Key);
        }
        else
        {
            _vips.Remove(key.Address, state.SlotKey);
        }

        if (isRange && rank > 0)
        {
            Link(key.Address, VipSlot.KeyOf(0, (IpProtocol)key.Protocol, rank - 1), more: false);
        }

        foreach (var source in state.Sources.Where(s => !served.ClientSources.Contains(s)))
        {
            _maps.Direct.Sources.Remove(in source);
        }
    }

    private IEnumerable<VipSlot> Ranges(IpAddress address, uint protocol) =>
        _vips.Entries.Where(s => s.Address == address && (s.Key & 0xFFFF) == 0 && ((s.Key >> 16) & 0xFF) == protocol);

    private int FreeRank(ServiceModel service)
    {
        var taken = Ranges(service.Address, (uint)service.Protocol).Count();
        return taken < VipSlot.MaxRanges ? taken : -1;
    }

    private bool HasRange(ServiceModel service, int rank) => Ranges(service.Address, (uint)service.Protocol).Any(s => s.Key >> 24 == (uint)rank);

    private void Link(IpAddress address, uint key, bool more)
    {
        foreach (var slot in _vips.Entries.Where(s => s.Address == address && s.Key == key).ToArray())
        {
            var linked = slot with { Flags = more ? slot.Flags | VipFlags.MoreRanges : slot.Flags & ~VipFlags.MoreRanges };
            _vips.Set(in linked);
        }
    }

    internal static VipFlags FlagsOf(ServiceModel service) => service.Forwarding == ForwardingMode.Nat ? VipFlags.Rewritten :
        (service.Tracking ? VipFlags.None : VipFlags.Untracked)
        | (service.ClientPrefix is null ? VipFlags.None : VipFlags.ByClient)
        | (service.SourceRanges.IsEmpty ? VipFlags.None : VipFlags.Restricted)
        | (QuicLengthOf(service) == 0 ? VipFlags.None : VipFlags.Quic)
        | (service.ConnectionRate is null && service.PacketRate is null ? VipFlags.None : VipFlags.Limited)
        | (HasSecondChance(service) ? VipFlags.SecondChance : VipFlags.None);

    private static (ulong Upper, ulong Lower) MaskOf(ServiceModel service)
    {
        var bits = service.ClientPrefix is { } prefix ? service.Address.IsIPv4 ? prefix + 96 : prefix : 128;
        return (Half(Math.Min(bits, 64)), Half(Math.Max(0, bits - 64)));

        // The first bits of the wire are the lowest bytes as the processor loads them.
        static ulong Half(int count) => System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(count == 0 ? 0 : ulong.MaxValue << (64 - count));
    }

    internal static bool IsSame(in Tunnel one, in Tunnel other) =>
        MemoryMarshal.AsBytes(new ReadOnlySpan<Tunnel>(in one)).SequenceEqual(MemoryMarshal.AsBytes(new ReadOnlySpan<Tunnel>(in other)));

    /// <summary>A service as the tables of direct return have it.</summary>
    internal sealed record DirectState(uint SlotKey, VipFlags Flags, HashSet<SourceKey> Sources)
    {
        public ServiceModel? Model { get; init; }
    }
}
