using System.Net;
using System.Net.NetworkInformation;
using Skep.Balancing;
using Skep.Bpf.Kernel;
using Skep.Engine;
using Skep.KernelTests.Surroundings;
using Skep.Packets;

namespace Skep.KernelTests.Balancing;

/// <summary>Ways to backends as the kernel tells them, in namespaces of the tests' own.</summary>
public class NextHopTests
{
    private static readonly IPAddress s_here = IPAddress.Parse("198.18.40.1"), s_there = IPAddress.Parse("198.18.40.2");
    private static readonly IpAddress s_backend = IpAddress.Parse("198.18.40.2"), s_beyond = IpAddress.Parse("203.0.113.9");
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(20);

    [KernelFact]
    public void A_neighbour_that_was_never_asked_is_there_when_the_way_is_found()
    {
        using var here = new TestNamespace();
        using var there = new TestNamespace();
        var (device, _) = here.Connect(there, "here", "there", s_here, s_there);
        using var hops = here.Run(() => new HostNextHops());

        var path = here.Run(() => hops.Find([s_backend], s_limit))[s_backend];

        Assert.Equal(device, path.Interface);
        Assert.Equal(IpAddress.From(s_here), path.SourceAddress);
        Assert.NotEqual(default, path.Destination);
    }

    [KernelFact]
    public async Task A_change_of_a_neighbour_a_route_or_a_link_is_told()
    {
        using var here = new TestNamespace();
        using var there = new TestNamespace();
        var (device, _) = here.Connect(there, "here", "there", s_here, s_there);
        using var hops = here.Run(() => new HostNextHops());
        BackendPath? Path(IpAddress backend) => here.Run(() => hops.Find([s_backend, s_beyond], s_limit)).TryGetValue(backend, out var path) ? path : null;
        Assert.NotEqual(default, Path(s_backend)!.Value.Destination);

        var mac = PhysicalAddress.Parse("02-00-00-00-40-02");
        here.Run(() => RtNetlink.AddNeighbour(device, s_there, mac));
        await ToldAsync(hops, () => Path(s_backend)?.Destination == new MacAddress(mac.GetAddressBytes()));

        Assert.Null(Path(s_beyond));
        here.Run(() => RtNetlink.AddRoute(IPAddress.Parse("203.0.113.0"), 24, s_there));
        await ToldAsync(hops, () => Path(s_beyond)?.Destination == new MacAddress(mac.GetAddressBytes()));

        here.Run(() => RtNetlink.SetMtu(device, 1400));
        await ToldAsync(hops, () => Path(s_beyond)?.Mtu == 1400);

        here.Run(() => RtNetlink.SetDown(device));
        await ToldAsync(hops, () => Path(s_beyond) is null);
    }

    [KernelFact]
    public void A_listener_that_is_told_more_than_it_holds_knows_it()
    {
        using var place = new TestNamespace();
        using var other = new TestNamespace();
        var (device, _) = place.Connect(other, "here", "there", s_here, s_there);
        using var monitor = place.Run(() => new NetlinkMonitor(NetlinkMonitor.Links, TimeSpan.FromMilliseconds(1), held: 1));

        place.Run(() =>
        {
            for (var i = 0; i < 50; i++)
            {
                RtNetlink.SetMtu(device, 1400 - i);
            }
        });

        var heard = 0;
        NetlinkReading reading;
        do
        {
            reading = monitor.Read((type, _) => heard += type == NetlinkMessage.NewLink ? 1 : 0);
        }
        while (reading == NetlinkReading.Heard);
        Assert.Equal(NetlinkReading.Lost, reading);
        Assert.InRange(heard, 0, 49);
    }

    private static async Task ToldAsync(HostNextHops hops, Func<bool> condition)
    {
        using var stop = new CancellationTokenSource(s_limit);
        do
        {
            await hops.WaitForChangeAsync(stop.Token);
        }
        while (!condition());
    }
}
