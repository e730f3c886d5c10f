using Skep.Bpf;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.KernelTests.Surroundings;

namespace Skep.KernelTests.Links;

public class TcxLinkTests
{
    private const int Next = -1, Shot = 2;

    private static TcxLink Attach(LoadedProgram program, int index, TcDirection direction, bool netlink) =>
        netlink ? TcxLink.AttachByNetlink(program, index, direction) : TcxLink.Attach(program, index, direction);

    [KernelTheory]
    [InlineData(TcDirection.Ingress, false)]
    [InlineData(TcDirection.Egress, false)]
    [InlineData(TcDirection.Ingress, true)]
    [InlineData(TcDirection.Egress, true)]
    public void Drops_datagrams_until_it_is_updated_or_disposed(TcDirection direction, bool netlink)
    {
        using var path = new UdpPath();
        using var dropped = new Global<ulong>("dropped");
        using var passed = new Global<ulong>("passed");
        using var dropper = ProgramLoader.Load(DatagramProgram.Tc("dropper", dropped, Shot));
        using var passer = ProgramLoader.Load(DatagramProgram.Tc("passer", passed, Next));
        var (side, index) = direction == TcDirection.Ingress ? (path.Right, path.RightInterface) : (path.Left, path.LeftInterface);
        using (var link = side.Run(() => Attach(dropper, index, direction, netlink)))
        {
            Assert.Equal((dropper.Id, netlink), (link.ProgramId, link.UsesNetlink));
            path.Send(1);
            path.Send(2);
            Eventually.True(() => dropped.Value == 2, "two datagrams were dropped");

            link.Update(passer);

            Assert.Equal(passer.Id, link.ProgramId);
            Assert.Equal(3, path.SendAndReceive(3));
            Assert.Equal(1ul, passed.Value);
        }

        Assert.Equal(4, path.SendAndReceive(4));
        Assert.Equal((2ul, 1ul), (dropped.Value, passed.Value));
    }

    [KernelTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_pin_outlives_the_link_and_leads_back_to_it(bool netlink)
    {
        using var path = new UdpPath();
        using var pins = new TestPins();
        using var dropped = new Global<ulong>("dropped");
        using var program = ProgramLoader.Load(DatagramProgram.Tc("dropper", dropped, Shot));
        var pin = pins.Path("flows");
        using (var link = path.Right.Run(() => Attach(program, path.RightInterface, TcDirection.Ingress, netlink)))
        {
            link.Pin(pin);
        }

        path.Send(1);
        Eventually.True(() => dropped.Value == 1, "the datagram was dropped after the link was disposed of");

        var reopened = path.Right.Run(() => Link.OpenPinned(pin));
        Assert.IsType<TcxLink>(reopened);
        Assert.Equal(program.Id, reopened.ProgramId);
        reopened.Detach();

        Assert.False(File.Exists(pin));
        Assert.Equal(2, path.SendAndReceive(2));
    }

    [KernelTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void Several_programs_see_the_same_packet(bool netlink)
    {
        using var path = new UdpPath();
        using var one = new Global<ulong>("one");
        using var two = new Global<ulong>("two");
        using var first = ProgramLoader.Load(DatagramProgram.Tc("first", one, Next));
        using var second = ProgramLoader.Load(DatagramProgram.Tc("second", two, Next));
        using var firstLink = path.Right.Run(() => Attach(first, path.RightInterface, TcDirection.Ingress, netlink));
        using var secondLink = path.Right.Run(() => Attach(second, path.RightInterface, TcDirection.Ingress, netlink));

        Assert.Equal(1, path.SendAndReceive(1));

        Assert.Equal((1ul, 1ul), (one.Value, two.Value));
    }

    [KernelFact]
    public void First_goes_before_those_that_are_there()
    {
        using var path = new UdpPath();
        using var passed = new Global<ulong>("passed");
        using var dropped = new Global<ulong>("dropped");
        using var passer = ProgramLoader.Load(DatagramProgram.Tc("passer", passed, Next));
        using var dropper = ProgramLoader.Load(DatagramProgram.Tc("dropper", dropped, Shot));
        using var passerLink = path.Right.Run(() => TcxLink.Attach(passer, path.RightInterface, TcDirection.Ingress));
        using var dropperLink = path.Right.Run(() => TcxLink.Attach(dropper, path.RightInterface, TcDirection.Ingress, LinkAnchor.First));

        path.Send(1);
        Eventually.True(() => dropped.Value == 1, "the datagram was dropped");

        Assert.Equal(0ul, passed.Value);
    }

    [KernelFact]
    public void Pins_by_netlink_tell_the_hooks_of_one_program_apart()
    {
        using var path = new UdpPath();
        using var pins = new TestPins();
        using var counter = new Global<ulong>("counter");
        using var program = ProgramLoader.Load(DatagramProgram.Tc("passer", counter, Next));
        foreach (var direction in (TcDirection[])[TcDirection.Ingress, TcDirection.Egress])
        {
            using var link = path.Right.Run(() => TcxLink.AttachByNetlink(program, path.RightInterface, direction));
            link.Pin(pins.Path(direction.ToString()));
        }

        path.SendAndReceive(1);
        Assert.Equal(1ul, counter.Value);

        path.Right.Run(() => Link.OpenPinned(pins.Path("Egress"))).Detach();
        path.SendAndReceive(2);
        Assert.Equal(2ul, counter.Value);

        path.Right.Run(() => Link.OpenPinned(pins.Path("Ingress"))).Detach();
        path.SendAndReceive(3);
        Assert.Equal(2ul, counter.Value);
    }

    [KernelTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_pin_whose_interface_is_gone_says_so(bool netlink)
    {
        using var pins = new TestPins();
        using var counter = new Global<ulong>("counter");
        using var program = ProgramLoader.Load(DatagramProgram.Tc("passer", counter, Next));
        using (var path = new UdpPath())
        {
            using var link = path.Right.Run(() => Attach(program, path.RightInterface, TcDirection.Ingress, netlink));
            Assert.Equal(path.RightInterface, link.InterfaceIndex);
            link.Pin(pins.Path("gone"));
        }

        if (netlink)
        {
            Assert.Equal(Errno.NoEntry, Assert.Throws<BpfException>(() => Link.OpenPinned(pins.Path("gone"))).ErrorNumber);
            return;
        }

        // The namespace is taken down after its last user, on the kernel's time.
        using var left = Link.OpenPinned(pins.Path("gone"));
        Eventually.True(() => left.InterfaceIndex == 0, "the link was detached from the interface that is gone");
    }

    [KernelFact]
    public void A_pinned_program_or_map_is_no_link()
    {
        using var pins = new TestPins();
        using var counter = new Global<ulong>("counter");
        using var program = ProgramLoader.Load(DatagramProgram.Tc("passer", counter, Next));
        program.Pin(pins.Path("program"));
        ((KernelMapStorage)counter.Storage).Pin(pins.Path("map"));

        Assert.Contains("not a link", Assert.Throws<NotSupportedException>(() => Link.OpenPinned(pins.Path("program"))).Message);
        Assert.Throws<NotSupportedException>(() => Link.OpenPinned(pins.Path("map")));
    }
}
