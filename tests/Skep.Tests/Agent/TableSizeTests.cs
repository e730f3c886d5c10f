using Skep.Agent;
using Skep.Balancing;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Tests.Agent;

/// <summary>Sizes of tables that resources ask for, and what happens to what is in them.</summary>
public sealed class TableSizeTests
{
    private const string Direct =
        "apiVersion: skep.dev/v1\nkind: LoadBalancer\nmetadata: {name: direct}\nspec:\n  interfaces: [capture]\n  addresses: [192.0.2.11]\n  forwarding: ipip\n"
        + "  ports: [{port: 80, protocol: UDP}]\n  backends: [{address: 10.0.0.1}, {address: 10.0.0.2}]\n";

    [Fact]
    public void Tables_have_the_sizes_that_are_asked_for_and_say_how_full_they_are()
    {
        using var bed = new AgentBed();
        bed.Write(AgentBed.LoadBalancer() + "---\n" + AgentBed.BlockList("203.0.113.0/24") + "---\n" + Sizes("services: 64, backends: 100, connections: 2048, blockedPrefixes: 9"));
        var (platform, _) = bed.Start();
        using (platform)
        {
            var tables = platform.Status().Tables.ToDictionary(t => t.Name, t => (t.Used, t.Size));
            Assert.Equal((1, 64), tables["services"]);
            Assert.Equal((1, 100), tables["backends"]);
            Assert.Equal((0, 2048), tables["connections"]);
            Assert.Equal((1, 9), tables["blockedPrefixes"]);
            Assert.Equal((0, 65536), tables["blockedAddresses"]);
            Assert.True(tables["ringRows"] is { Used: > 0, Size: 2097152 });
        }
    }

    [Fact]
    public void Connections_blocks_flows_and_counts_survive_other_sizes_while_the_agent_runs()
    {
        using var bed = new AgentBed();
        var rest = AgentBed.LoadBalancer() + "---\n" + AgentBed.BlockList("203.0.113.0/24") + "---\n" + Direct;
        bed.Write(rest);
        var (platform, twin) = bed.Start();
        using (platform)
        {
            Connect(twin, 4000);
            Assert.Equal(XdpAction.Drop, AgentBed.Send(twin, "203.0.113.7", "192.0.2.10"));
            var owners = Enumerable.Range(0, 50).Select(i => Owner(platform, i)).ToArray();

            foreach (var sizes in (string[])[
                "services: 2048, backends: 32768, connections: 262144, flows: 1048576, ringRows: 4194304, blockedPrefixes: 100",
                "services: 512, backends: 100, connections: 1024, flows: 1024, ringRows: 65536",
                "backends: 70000"])
            {
                bed.Write(rest + "---\n" + Sizes(sizes));
                Assert.True(platform.Reload(), string.Join('\n', platform.Status().Resources.Problems.Select(p => p.Message)));
                Assert.Empty(platform.Status().Resources.Problems);
                Assert.Equal(1, platform.Status().Tables.Single(t => t.Name == "connections").Used);
                Assert.True(Known(platform, 4000));
                Assert.Equal(owners, Enumerable.Range(0, 50).Select(i => Owner(platform, i)));
                Assert.Equal(XdpAction.Drop, AgentBed.Send(twin, "203.0.113.7", "192.0.2.10"));
            }

            Assert.Equal(4ul, platform.Blocks().Single().Packets);
            Assert.Equal(1ul, platform.Backends().First(b => b.LoadBalancer == "web").Connections);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_ends_or_begins_in_the_old_tables_while_programs_are_exchanged_does_so_in_the_new_ones(bool isInUse)
    {
        using var twin = new Skep.Engine.TwinDatapath();
        var (before, after) = (new EdgeMaps(new EdgeOptions()), new EdgeMaps(new EdgeOptions { MaxConnections = 5000 }));
        twin.Open(before.All, before.MigrationOf);
        before.Balancing.Direct.DrawSeed();
        before.Balancing.Backends.Entries[1].InUse = before.Balancing.Backends.Entries[2].InUse = 1;
        var old = new Tracker(before.Balancing, translates: true);
        foreach (var port in (ushort[])[1, 2, 3, 4])
        {
            Enter(old, port, 1);
        }

        const ConnectionEnd Both = ConnectionEnd.ClientFin | ConnectionEnd.BackendFin;
        Enter(old, 8, 1, Both);
        Enter(old, 9, 1, Both);
        Enter(old, 10, 1, Both);
        twin.Open(after.All, after.MigrationOf);
        var now = new Tracker(after.Balancing, translates: true);

        // It ends; its port is used again; in both tables; it is forgotten; two begin; the port of one that had ended before is used again, towards the same backend and another one,
        // and, in the new table, towards the same.
        At(old, 1).End = Both;
        Enter(old, 2, 2, seen: 12);
        Enter(old, 3, 1, Both, 11);
        Enter(now, 3, 2, seen: 12);
        Forget(old, 4);
        Enter(old, 5, 2);
        Enter(old, 6, 2, protocol: IpProtocol.Udp);
        Enter(old, 7, 3, protocol: IpProtocol.Udp);
        Enter(old, 8, 1);
        Enter(old, 9, 2);
        Enter(now, 10, 1);
        if (isInUse)
        {
            twin.Settle();
        }
        else
        {
            twin.Prepare([]);
        }

        (int, uint, ConnectionEnd)[] expected =
        [
            (1, 1, Both), (2, 2, ConnectionEnd.None), isInUse ? (3, 2u, ConnectionEnd.None) : (3, 1u, Both), .. isInUse ? [(4, 1u, ConnectionEnd.None)] : ((int, uint, ConnectionEnd)[])[],
            (5, 2, ConnectionEnd.None), (6, 2, ConnectionEnd.None), (8, 1, ConnectionEnd.None), (9, 2, ConnectionEnd.None),
            (10, 1, isInUse ? ConnectionEnd.None : Both),
        ];
        Assert.Equal(expected, now.Numbers().Select(n => now.At(n)).Select(c => ((int)c.ClientPort.Value, c.BackendId, c.End & ~ConnectionMigration.EndedBefore)).Order());

        static ulong Find(Tracker table, ushort port, IpProtocol protocol = IpProtocol.Tcp) =>
            table.Find(IpAddress.Parse("198.51.100.7"), IpAddress.Parse("192.0.2.10"), NetworkUInt16.From(port).Raw, (uint)protocol);

        static ref Connection At(Tracker table, ushort port) => ref table.At(Tracker.NumberOf(Find(table, port)));

        static void Forget(Tracker table, ushort port) => Assert.Equal(1, table.Release(Tracker.NumberOf(Find(table, port))));

        static void Enter(Tracker table, ushort port, uint backend, ConnectionEnd end = ConnectionEnd.None, uint seen = 10, IpProtocol protocol = IpProtocol.Tcp)
        {
            if (Tracker.FoundForward(Find(table, port)))
            {
                Forget(table, port);
            }

            Assert.True(table.TryEnter(
                new()
                {
                    Client = IpAddress.Parse("198.51.100.7"),
                    Virtual = IpAddress.Parse("192.0.2.10"),
                    Backend = IpAddress.Parse($"10.0.0.{backend}"),
                    Ports = ((ulong)NetworkUInt16.From(port).Raw << 16) | ((ulong)protocol << 48),
                    BackendId = backend,
                    LastSeen = seen,
                    End = end,
                    Stage = ConnectionStage.Established,
                },
                default));
        }
    }

    [Fact]
    public void A_size_that_is_too_small_for_what_is_in_use_changes_nothing_and_says_what_to_do()
    {
        using var bed = new AgentBed();
        bed.Write(AgentBed.LoadBalancer() + "---\n" + Sizes("connections: 4096"));
        var (platform, twin) = bed.Start();
        using (platform)
        {
            for (ushort port = 1; port <= 2000; port++)
            {
                Connect(twin, port);
            }

            bed.Write(AgentBed.LoadBalancer("192.0.2.99") + "---\n" + Sizes("connections: 1024"));
            Assert.False(platform.Reload());
            var status = platform.Status();
            var problem = Assert.Single(status.Resources.Problems);
            Assert.Equal("not-carried-over", problem.Id);
            Assert.Contains("edge_conns", problem.Message, StringComparison.Ordinal);
            Assert.Contains("find no room", problem.Message, StringComparison.Ordinal);
            Assert.Contains("TableSizes", problem.Message, StringComparison.Ordinal);
            Assert.False(status.Resources.Current);
            Assert.Equal(4096, status.Tables.Single(t => t.Name == "connections").Size);
            Assert.Equal("192.0.2.10", platform.Services().Single().Address);
            Assert.True(Known(platform, 1));

            // A rehearsal foresees it; where there is room it finds nothing, and changes nothing either.
            bed.Write(AgentBed.LoadBalancer());
            foreach (var dryRun in new[] { true, false })
            {
                var (view, refusal) = platform.Apply(new("more.yaml", Sizes("connections: 1024").Replace("tables", "more", StringComparison.Ordinal)), dryRun);
                Assert.False(view.Applied);
                Assert.NotNull(refusal);
                var foreseen = Assert.Single(view.Problems);
                Assert.Equal(("not-carried-over", "more.yaml"), (foreseen.Id, Path.GetFileName(foreseen.File)));
                Assert.Contains("edge_conns", foreseen.Message, StringComparison.Ordinal);
                Assert.False(File.Exists(bed.Options.Paths.Applied));
            }

            Assert.Null(platform.Apply(new("more.yaml", Sizes("connections: 8192").Replace("tables", "more", StringComparison.Ordinal)), dryRun: true).Refusal);
            Assert.Equal(new EdgeOptions().MaxConnections, (uint)platform.Status().Tables.Single(t => t.Name == "connections").Size);
            Assert.True(Known(platform, 1));
        }
    }

    [Fact]
    public void What_does_not_fit_the_sizes_asked_for_is_refused_with_the_name_of_the_size()
    {
        using var bed = new AgentBed();
        bed.Write(AgentBed.BlockList("203.0.113.7, 203.0.113.8") + "---\n" + Sizes("blockedAddresses: 1"));
        var (platform, _) = bed.Start();
        using (platform)
        {
            var problem = Assert.Single(platform.Status().Resources.Problems);
            Assert.Equal("more than 1 blocked addresses in all", problem.Message);
            Assert.Contains("spec.blockedAddresses of a TableSizes resource", problem.Advice, StringComparison.Ordinal);
        }
    }

    private static string Sizes(string spec) => $"apiVersion: skep.dev/v1\nkind: TableSizes\nmetadata: {{name: tables}}\nspec: {{{spec}}}\n";

    private static void Connect(Skep.Engine.TwinDatapath twin, ushort port)
    {
        Pass(PacketBuilder.Ethernet().IPv4("198.51.100.7", "192.0.2.10").Tcp(port, 80, TcpFlags.Syn));
        Pass(PacketBuilder.Ethernet().IPv4("10.0.0.1", "198.51.100.7").Tcp(80, port, TcpFlags.Syn | TcpFlags.Ack));
        Pass(PacketBuilder.Ethernet().IPv4("10.0.0.1", "198.51.100.7").Tcp(80, port, TcpFlags.Ack));

        void Pass(PacketBuilder packet) => twin.Pass(OpenedDatapath.CaptureInterface, 1, packet.Build(), outgoing: false);
    }

    private static bool Known(Platform platform, int port) => platform.Explain(
        new(System.Net.IPAddress.Parse("198.51.100.7"), port), new(System.Net.IPAddress.Parse("192.0.2.10"), 80), IpProtocol.Tcp, []).IsKnown;

    private static string? Owner(Platform platform, int client) => platform.Explain(
        new(System.Net.IPAddress.Parse("198.51.100.8"), 1000 + client), new(System.Net.IPAddress.Parse("192.0.2.11"), 80), IpProtocol.Udp, []).Backend;
}
