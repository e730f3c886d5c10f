using System.Globalization;
using Skep.Agent.Metrics;
using Skep.Balancing;

namespace Skep.Agent;

/// <summary>What Prometheus scrapes.</summary>
internal sealed partial class Platform
{
    /// <summary>Writes all metrics.</summary>
    public void WriteMetrics(MetricsWriter writer)
    {
        var status = Status();
        writer.Gauge("skep_build_info", "Version and engine of the agent; the value is 1.");
        writer.Sample(1, ("version", status.Version), ("engine", status.Engine));
        writer.Gauge("skep_ready", "1 when everything asked for is in force.");
        writer.Sample(status.Ready ? 1 : 0);
        writer.Gauge("skep_start_time_seconds", "When the agent started, seconds since 1970.");
        writer.Sample(status.StartedAt.ToUnixTimeMilliseconds() / 1000d);
        writer.Gauge("skep_resident_memory_bytes", "Memory of the agent in RAM.");
        writer.Sample(status.ResidentBytes);
        WriteResources(writer, status.Resources);
        WriteDatapath(writer, status);
        WriteEdge(writer, status);
        _flows.WriteMetrics(writer);
    }

    private void WriteResources(MetricsWriter writer, Api.ResourcesView resources)
    {
        writer.Gauge("skep_resources", "Resources in force.");
        writer.Sample(resources.LoadBalancers, ("kind", "LoadBalancer"));
        writer.Sample(resources.BlockLists, ("kind", "BlockList"));
        writer.Sample(resources.RateLimits, ("kind", "RateLimit"));
        writer.Gauge("skep_resources_current", "1 when the files are in force, 0 when they have errors and the last good set is.");
        writer.Sample(resources.Current ? 1 : 0);
        writer.Gauge("skep_resource_problems", "Problems of the resources read last.");
        writer.Sample(resources.Problems.Count(p => p.Severity == "error"), ("severity", "error"));
        writer.Sample(resources.Problems.Count(p => p.Severity == "warning"), ("severity", "warning"));
        writer.Counter("skep_reloads_total", "Readings of the resources.");
        writer.Sample(Interlocked.Read(ref _reloadsGood), ("result", "applied"));
        writer.Sample(Interlocked.Read(ref _reloadsBad), ("result", "refused"));
    }

    private static void WriteDatapath(MetricsWriter writer, Api.StatusView status)
    {
        writer.Gauge("skep_programs", "Programs that run, by hook.");
        foreach (var group in status.Programs.GroupBy(p => p.Hook[..p.Hook.IndexOf('/', StringComparison.Ordinal)]))
        {
            writer.Sample(group.Count(), ("hook", group.Key));
        }

        writer.Gauge("skep_interface_errors", "Interfaces on which a program could not be attached.");
        writer.Sample(status.Interfaces.Count(i => i.Error is not null));
        writer.Gauge("skep_map_entries", "Entries of maps, counted every ten seconds at most.");
        foreach (var map in status.Maps.Where(m => m.Entries >= 0))
        {
            writer.Sample(map.Entries, ("map", map.Name));
        }

        writer.Gauge("skep_map_capacity", "Entries that maps can hold.");
        foreach (var map in status.Maps.Where(m => m.Entries >= 0))
        {
            writer.Sample(map.Capacity, ("map", map.Name));
        }

        writer.Counter("skep_events_lost_total", "Events that found no room on their way from the kernel.");
        foreach (var lost in status.LostEvents)
        {
            writer.Sample(lost.Packets, ("ring", lost.Name));
        }
    }

    private void WriteEdge(MetricsWriter writer, Api.StatusView status)
    {
        writer.Counter("skep_edge_packets_total", "Packets at the edge by verdict.");
        foreach (var verdict in status.Verdicts)
        {
            writer.Sample(verdict.Packets, ("verdict", verdict.Name));
        }

        writer.Counter("skep_edge_bytes_total", "Bytes at the edge by verdict, Ethernet headers included.");
        foreach (var verdict in status.Verdicts)
        {
            writer.Sample(verdict.Bytes, ("verdict", verdict.Name));
        }

        WriteLimits(writer);
        writer.Gauge("skep_blocks", "Blocked addresses and prefixes.");
        writer.Sample(Blocks().Count);
        var backends = Backends();
        writer.Counter("skep_backend_connections_total", "Connections given to backends.");
        Each(b => b.Connections);
        writer.Counter("skep_backend_packets_total", "Packets sent to backends.");
        Each(b => b.Packets);
        writer.Counter("skep_backend_bytes_total", "Bytes sent to backends, Ethernet headers included.");
        Each(b => b.Bytes);
        writer.Counter("skep_backend_reply_packets_total", "Packets of answers of backends that came back through the balancer.");
        Each(b => b.ReplyPackets);
        writer.Counter("skep_backend_reply_bytes_total", "Bytes of answers of backends, Ethernet headers included.");
        Each(b => b.ReplyBytes);
        writer.Gauge("skep_backend_weight", "Weights of backends.");
        Each(b => b.Weight);

        writer.Gauge("skep_backend_share", "Share of new connections that backends get, 0 to 1.");
        Each(b => b.Share);
        writer.Gauge("skep_backend_up", "1 when a backend takes new connections.");
        Each(b => b.State == "up" ? 1 : 0);
        writer.Counter("skep_backend_decisions_total", "Decisions about backends by kind.");
        foreach (var kind in Enum.GetValues<Balancing.Adaptive.DecisionKind>())
        {
            writer.Sample(_edge.Backends.Decisions.Count(kind), ("kind", WordOf(kind)));
        }

        writer.Gauge("skep_backend_active_connections", "Connections of backends that have not ended.");
        Each(b => b.Active);
        writer.Gauge("skep_backend_waiting_requests", "Measured requests that wait for an answer.");
        Each(b => b.Waiting);
        writer.Counter("skep_backend_refused_total", "Connections that backends refused.");
        Each(b => b.Refused);
        writer.Counter("skep_backend_resets_total", "Connections that backends reset.");
        Each(b => b.Resets);
        writer.Counter("skep_backend_unanswered_total", "Requests on which backends hung up.");
        Each(b => b.Unanswered);
        writer.Counter("skep_backend_syn_repeats_total", "SYN that clients sent again to backends.");
        Each(b => b.SynRepeats);
        writer.Counter("skep_backend_retransmits_total", "With direct return, packets with data that clients of sampled connections sent again.");
        Each(b => b.Retransmits);
        writer.Gauge("skep_backend_reachable", "With direct return, 1 when the way to a backend is known down to the Ethernet address of the next hop.");
        Some(backends.Where(b => b.Reachable is not null), b => b.Reachable == true ? 1 : 0);
        WriteServices(writer, backends);
        WriteTimes(writer);

        void Each(Func<Api.BackendView, double> value) => Some(backends, value);

        void Some(IEnumerable<Api.BackendView> some, Func<Api.BackendView, double> value)
        {
            foreach (var b in some)
            {
                writer.Sample(
                    value(b), ("load_balancer", b.LoadBalancer), ("service", b.Service),
                    ("backend", b.Address.Contains(':', StringComparison.Ordinal) ? $"[{b.Address}]:{b.Port}" : string.Create(CultureInfo.InvariantCulture, $"{b.Address}:{b.Port}")));
            }
        }
    }

    private void WriteLimits(MetricsWriter writer)
    {
        writer.Counter("skep_service_limited_total", "Packets and new connections that limits of services refused.");
        lock (_gate)
        {
            foreach (var service in (_edge.State?.Balancer.Services ?? []).Where(s => s.Model.ConnectionRate is not null || s.Model.PacketRate is not null))
            {
                var (connections, packets) = _edge.State!.Balancer.RefusedOf(service.Id);
                writer.Sample(connections, ("load_balancer", service.Model.Name), ("service", service.Model.Endpoint), ("limit", "connections"));
                writer.Sample(packets, ("load_balancer", service.Model.Name), ("service", service.Model.Endpoint), ("limit", "packets"));
            }
        }
    }

    private void WriteServices(MetricsWriter writer, IReadOnlyList<Api.BackendView> backends)
    {
        ServiceState[] services;
        lock (_gate)
        {
            services = [.. _edge.State?.Balancer.Services ?? []];
        }

        var byEndpoint = backends.ToLookup(b => (b.LoadBalancer, b.Service));
        writer.Gauge("skep_service_backends", "Backends of a virtual endpoint by state.");
        foreach (var service in services)
        {
            foreach (var group in byEndpoint[(service.Model.Name, service.Model.Endpoint)].GroupBy(b => b.State))
            {
                writer.Sample(group.Count(), ("load_balancer", service.Model.Name), ("service", service.Model.Endpoint), ("state", group.Key));
            }
        }

        PerService("skep_service_ring_slots", "Slots of the ring by which a virtual endpoint chooses backends.", (service, _) => service.Slots);
        PerService("skep_service_active_connections", "Connections of a virtual endpoint that have not ended.", (_, of) => of.Sum(b => b.Active));
        PerService("skep_service_weight_available", "Share of the declared weight of a virtual endpoint whose backends take new connections, 0 to 1.", (_, of) =>
            of.Sum(b => (double)b.Weight) is > 0 and var all ? of.Where(b => b.State == "up").Sum(b => b.Weight) / all : 0);

        void PerService(string name, string help, Func<ServiceState, IEnumerable<Api.BackendView>, double> value)
        {
            writer.Gauge(name, help);
            foreach (var service in services)
            {
                writer.Sample(
                    value(service, byEndpoint[(service.Model.Name, service.Model.Endpoint)]), ("load_balancer", service.Model.Name), ("service", service.Model.Endpoint));
            }
        }
    }

    private void WriteTimes(MetricsWriter writer)
    {
        writer.Histogram("skep_backend_handshake_seconds", "Time from SYN to SYN-ACK, as it passes the balancer; with direct return to what the client sends after it.");
        Each(0, r => r.HandshakeSeconds);
        writer.Histogram("skep_backend_response_seconds", "Time from a request to the first byte of its answer, as it passes the balancer; with direct return until the client acknowledges it, less the time of the handshake.");
        Each(BackendHistograms.Buckets, r => r.ResponseSeconds);

        void Each(int first, Func<BackendReading, double> sum)
        {
            lock (_gate)
            {
                foreach (var (service, backend) in (_edge.State?.Balancer.Services ?? []).SelectMany(s => s.Backends.Select(b => (s.Model, b))))
                {
                    var counts = _edge.State!.Balancer.HistogramsOf(backend.Id);
                    if (!counts.IsEmpty)
                    {
                        writer.Buckets(
                            counts.Slice(first, BackendHistograms.Buckets), BackendHistograms.UpperSeconds, sum(_edge.State.Balancer.ReadingOf(backend.Id)),
                            ("load_balancer", service.Name), ("service", service.Endpoint), ("backend", EndpointText.Of(backend.Model.Address, backend.Model.Port)));
                    }
                }
            }
        }
    }
}
