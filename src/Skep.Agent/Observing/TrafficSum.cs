using System.Runtime.InteropServices;
using Skep.Agent.Metrics;
using Skep.Bpf.Maps;
using Skep.Flows;
using Skep.Packets;

namespace Skep.Agent.Observing;

/// <summary>
/// Packets and bytes by interface, direction and protocol, as counters that never go back: what every flow added since it was looked at last.
/// What a flow moved between the last look and its eviction is missing.
/// </summary>
internal sealed class TrafficSum
{
    private readonly Lock _gate = new();
    private readonly Dictionary<FlowKey, Seen> _seen = [];
    private readonly SortedDictionary<(string Interface, string Direction, string Protocol), (ulong Packets, ulong Bytes)> _sums = [];
    private long _round;

    /// <summary>Adds what the flows moved since the last time.</summary>
    public void Add(LruHashMap<FlowKey, FlowEntry> table, IReadOnlyDictionary<int, string> interfaces)
    {
        lock (_gate)
        {
            _round++;
            var live = table.ReadAll((key, entry) =>
            {
                ref var seen = ref CollectionsMarshal.GetValueRefOrAddDefault(_seen, key, out _);
                if (seen.FirstSeen != entry.FirstSeen)
                {
                    // Another flow of the same key.
                    seen = new Seen { FirstSeen = entry.FirstSeen };
                }

                if (interfaces.TryGetValue((int)entry.Key.Interface, out var name))
                {
                    var protocol = FlowViews.NameOf((IpProtocol)entry.Key.Protocol);
                    Add((name, "ingress", protocol), entry.Received.Packets - seen.PacketsIn, entry.Received.Bytes - seen.BytesIn);
                    Add((name, "egress", protocol), entry.Sent.Packets - seen.PacketsOut, entry.Sent.Bytes - seen.BytesOut);
                }

                (seen.Round, seen.PacketsIn, seen.BytesIn, seen.PacketsOut, seen.BytesOut) =
                    (_round, entry.Received.Packets, entry.Received.Bytes, entry.Sent.Packets, entry.Sent.Bytes);
            });

            if (_seen.Count > live + 1024)
            {
                // Flows that left the table.
                foreach (var (key, seen) in _seen)
                {
                    if (seen.Round != _round)
                    {
                        _seen.Remove(key);
                    }
                }
            }
        }
    }

    public void WriteMetrics(MetricsWriter writer)
    {
        lock (_gate)
        {
            writer.Counter("skep_flow_packets_total", "Packets of flows as on the wire.");
            foreach (var (labels, sum) in _sums)
            {
                writer.Sample(sum.Packets, ("interface", labels.Interface), ("traffic_direction", labels.Direction), ("protocol", labels.Protocol));
            }

            writer.Counter("skep_flow_bytes_total", "Bytes of flows as on the wire, Ethernet headers included.");
            foreach (var (labels, sum) in _sums)
            {
                writer.Sample(sum.Bytes, ("interface", labels.Interface), ("traffic_direction", labels.Direction), ("protocol", labels.Protocol));
            }
        }
    }

    private void Add((string, string, string) labels, ulong packets, ulong bytes)
    {
        if (packets > 0)
        {
            var sum = _sums.GetValueOrDefault(labels);
            _sums[labels] = (sum.Packets + packets, sum.Bytes + bytes);
        }
    }

    private struct Seen
    {
        public long Round;
        public ulong FirstSeen;
        public ulong PacketsIn;
        public ulong BytesIn;
        public ulong PacketsOut;
        public ulong BytesOut;
    }
}
