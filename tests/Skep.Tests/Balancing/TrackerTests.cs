using System.Runtime.CompilerServices;
using Skep.Balancing;
using Skep.Bpf.Twin;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Tests.Balancing;

public sealed class TrackerTests : IDisposable
{
    private readonly TwinEngine _twin = new();

    public void Dispose() => _twin.Dispose();

    [Fact]
    public void A_connection_takes_less_than_a_hundred_bytes()
    {
        var options = new EdgeOptions();
        var maps = new EdgeMaps(options).Balancing;
        var bytes = ((ulong)Unsafe.SizeOf<Connection>() * maps.Connections.MaxEntries) + (sizeof(ulong) * (ulong)maps.ConnectionSets.Count);
        Assert.InRange(bytes / (double)options.MaxConnections, 90, 100);
    }

    [Theory]
    [InlineData(1000u)]
    [InlineData(20_000u)]
    public void As_many_as_are_asked_for_find_room_and_are_found(uint connections)
    {
        var (maps, tracker) = Table(connections);
        var clients = Enumerable.Range(0, (int)connections).Select(i => ClientOf(i)).ToArray();
        var refused = clients.Count(c => !Enter(tracker, c, ConnectionStage.Established));
        Assert.InRange(refused, 0, (int)connections / 1000);
        Assert.Equal(connections - refused, tracker.Count());
        Assert.Equal(clients.Length - refused, clients.Count(c => IsFound(tracker, c)));
        Assert.Equal(tracker.Count(), clients.Count(c => Tracker.FoundReply(tracker.FindReply(Backend, c.Address, 80 | ((uint)c.Port.Raw << 16), Tcp))));
        Assert.False(IsFound(tracker, ClientOf(-1)));
        Assert.True(maps.ConnectionSets.Entries.ToArray().Count(w => w >> 56 != 0) > connections / 100);
    }

    [Fact]
    public void More_than_there_is_room_for_are_refused_and_nobody_is_lost()
    {
        var (maps, tracker) = Table(1000);
        var kept = Enumerable.Range(0, 3000).Select(i => ClientOf(i)).Where(c => Enter(tracker, c, ConnectionStage.Established)).ToArray();
        Assert.InRange(kept.Length, 1000, (int)maps.Connections.MaxEntries);
        Assert.All(kept, c => Assert.True(IsFound(tracker, c)));
    }

    [Fact]
    public void What_begins_is_driven_out_in_the_order_it_came_and_what_is_closed_before_it()
    {
        var (_, tracker) = Table(1);
        var room = 2 * (int)Tracker.Ways;
        var clients = Enumerable.Range(0, room).Select(i => ClientOf(i)).Where(c => Enter(tracker, c, ConnectionStage.Beginning, now: (uint)c.Number)).ToList();
        for (var i = room; i < 40 * room; i++)
        {
            var client = ClientOf(i);
            Assert.True(Enter(tracker, client, ConnectionStage.Beginning, now: (uint)i));
            Assert.True(IsFound(tracker, client));
            var gone = clients.Where(c => !IsFound(tracker, c)).ToArray();
            clients.RemoveAll(c => gone.Contains(c));
            clients.Add(client);

            // The oldest of one of the two sets there are: no more than those of the other set are older.
            Assert.All(gone, g => Assert.True(clients.Count(c => c.Number < g.Number) <= Tracker.Ways));
        }

        var closed = clients[^1];
        tracker.At(Tracker.NumberOf(Find(tracker, closed))).End = ConnectionEnd.Reset;
        var next = Enumerable.Range(100_000, 1000).Select(ClientOf).First(c => SetsOf(tracker, c) == SetsOf(tracker, closed));
        Assert.True(Enter(tracker, next, ConnectionStage.Beginning, now: 100_000));
        Assert.False(IsFound(tracker, closed));
    }

    [Fact]
    public void Whatever_comes_and_goes_the_words_of_the_sets_say_what_is_there()
    {
        var (maps, tracker) = Table(300);
        var random = new Random(7);
        var there = new HashSet<Client>();
        for (var i = 0; i < 20_000; i++)
        {
            if (random.Next(3) != 0 || there.Count == 0)
            {
                var client = ClientOf(i);
                if (Enter(tracker, client, random.Next(2) == 0 ? ConnectionStage.Beginning : ConnectionStage.Established, now: (uint)i))
                {
                    there.Add(client);
                }
            }
            else
            {
                var client = there.ElementAt(random.Next(there.Count));
                there.Remove(client);
                if (Find(tracker, client) is var found and not 0)
                {
                    Assert.Equal(1, tracker.Release(Tracker.NumberOf(found)));
                    Assert.False(IsFound(tracker, client));
                }
            }
        }

        // Those that begin may have been driven out.
        Assert.Equal(tracker.Count(), there.Count(c => IsFound(tracker, c)));
        foreach (var number in tracker.Numbers().ToArray())
        {
            Assert.Equal(1, tracker.Release(number));
            Assert.Equal(0, tracker.Release(number));
        }

        Assert.All(maps.ConnectionSets.Entries.ToArray(), w => Assert.Equal(0ul, w));
        Assert.All(maps.Connections.Entries.ToArray(), r => Assert.Equal(0ul, r.Ports));
    }

    [Fact]
    public void Many_at_once_leave_no_word_that_nobody_takes_back()
    {
        var (maps, tracker) = Table(200);
        Parallel.For(0, 4, thread =>
        {
            for (var i = 0; i < 20_000; i++)
            {
                var client = ClientOf((thread * 100_000) + i);
                Enter(tracker, client, i % 3 == 0 ? ConnectionStage.Established : ConnectionStage.Beginning, now: (uint)i);
                if (i % 2 == 0 && Find(tracker, client) is var found and not 0)
                {
                    tracker.Release(Tracker.NumberOf(found));
                }
            }
        });
        foreach (var number in tracker.Numbers().ToArray())
        {
            tracker.Release(number);
        }

        Assert.All(maps.ConnectionSets.Entries.ToArray(), w => Assert.Equal(0ul, w & 0x00FF_FFFF_FFFF_FFFF));
    }

    [Theory]
    [InlineData(4000u)]
    [InlineData(1200u)]
    [InlineData(700u)]
    public void Connections_move_to_a_table_of_another_size(uint size)
    {
        var (old, before) = Table(2000);
        var clients = Enumerable.Range(0, 1000).Select(i => ClientOf(i)).ToArray();
        Assert.All(clients, c => Assert.True(Enter(before, c, ConnectionStage.Established)));
        var (maps, tracker) = Table(size);
        var result = new ConnectionMigration(maps).Migrate(old.Connections.Entries);
        Assert.Equal(1000, result.Copied + result.NoRoom);
        Assert.Equal(result.Copied, clients.Count(c => IsFound(tracker, c)));
        Assert.True(size < 1000 ? result.NoRoom > 0 : result.NoRoom == 0);

        // Again: what is there stays, and nothing is there twice.
        Assert.Equal(result, new ConnectionMigration(maps).Migrate(old.Connections.Entries));
        Assert.Equal(result.Copied, tracker.Count());
    }

    [Fact]
    public void Connections_of_the_layout_before_are_found_again()
    {
        var (old, before) = Table(2000);
        var clients = Enumerable.Range(0, 500).Select(i => ClientOf(i)).ToArray();
        Assert.All(clients, c => Assert.True(Enter(before, c, ConnectionStage.Established)));
        var records = old.Connections.Entries.ToArray();
        foreach (ref var record in records.AsSpan())
        {
            record.Ports = (record.Ports & 0xFFFF_0000_0000_0000) | ((ulong)record.BackendPort.Raw << 32) | record.RawPorts;
        }

        var (maps, tracker) = Table(2000);
        Assert.Equal(500, new ConnectionMigration(maps).Migrate(records, isFormer: true).Copied);
        Assert.All(clients, c => Assert.True(IsFound(tracker, c)));
        Assert.Equal(Sorted(old), Sorted(maps));

        static ulong[] Sorted(BalancerMaps maps) => [.. maps.Connections.Entries.ToArray().Select(static r => r.Ports).Order()];
    }

    private static readonly IpAddress Vip = IpAddress.Parse("198.51.100.1"), Backend = IpAddress.Parse("10.1.0.1");
    private const uint Tcp = (uint)IpProtocol.Tcp;

    private readonly record struct Client(int Number, IpAddress Address, NetworkUInt16 Port);

    // Neighbours, as clients are: few addresses of both families, and ports in a row.
    private static Client ClientOf(int number) => new(
        number, number % 2 == 0 ? IpAddress.Parse($"192.0.2.{number & 63}") : IpAddress.Parse($"2001:db8:c::{number & 63:x}"), NetworkUInt16.From((ushort)(number >> 6)));

    private (BalancerMaps Maps, Tracker Tracker) Table(uint connections)
    {
        var maps = new EdgeMaps(new EdgeOptions { RingSize = 251, RingRows = 1536, MaxServices = 8, MaxBackends = 16, MaxConnections = connections }).Balancing;
        foreach (var map in maps.All)
        {
            _twin.Bind(map);
        }

        maps.Direct.Seed.Value = 0x1234_5678_9ABC_DEF1;
        return (maps, new Tracker(maps, translates: true));
    }

    private static bool Enter(Tracker tracker, Client client, ConnectionStage stage, uint now = 0) => tracker.TryEnter(
        new Connection
        {
            Client = client.Address,
            Virtual = Vip,
            Backend = Backend,
            Ports = 80ul | ((ulong)client.Port.Raw << 16) | (443ul << 32) | ((ulong)Tcp << 48),
            PendingSince = now,
            Stage = stage,
        },
        default);

    private static ulong Find(Tracker tracker, Client client) => tracker.Find(client.Address, Vip, client.Port.Raw | (443u << 16), Tcp);

    private static bool IsFound(Tracker tracker, Client client) => Tracker.FoundForward(Find(tracker, client));

    // With two sets, each client has one or both.
    private static (bool, bool) SetsOf(Tracker tracker, Client client)
    {
        var hash = tracker.HashOf(client.Address, client.Port, IpProtocol.Tcp);
        return ((hash & 0x8000_0000) != 0, hash >> 63 != 0);
    }
}
