using Skep.Bpf;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.KernelTests.Surroundings;

namespace Skep.KernelTests.Links;

public class XdpLinkTests
{
    private const int Drop = 1, Pass = 2;

    private static XdpLink Attach(LoadedProgram program, int index, XdpMode mode, bool netlink) =>
        netlink ? XdpLink.AttachByNetlink(program, index, mode) : XdpLink.Attach(program, index, mode);

    [KernelTheory]
    [InlineData(XdpMode.Native, false)]
    [InlineData(XdpMode.Generic, false)]
    [InlineData(XdpMode.Native, true)]
    [InlineData(XdpMode.Generic, true)]
    public void Drops_datagrams_until_it_is_updated_or_disposed(XdpMode mode, bool netlink)
    {
        using var path = new UdpPath();
        using var dropped = new Global<ulong>("dropped");
        using var passed = new Global<ulong>("passed");
        using var dropper = ProgramLoader.Load(DatagramProgram.Xdp("dropper", dropped, Drop));
        using var passer = ProgramLoader.Load(DatagramProgram.Xdp("passer", passed, Pass));
        var link = path.Right.Run(() => Attach(dropper, path.RightInterface, mode, netlink));
        using (link)
        {
            Assert.Equal((dropper.Id, mode, netlink), (link.ProgramId, link.Mode!.Value, link.UsesNetlink));
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
        using var program = ProgramLoader.Load(DatagramProgram.Xdp("dropper", dropped, Drop));
        var pin = pins.Path("edge");
        using (var link = path.Right.Run(() => Attach(program, path.RightInterface, XdpMode.Auto, netlink)))
        {
            link.Pin(pin);
        }

        path.Send(1);
        Eventually.True(() => dropped.Value == 1, "the datagram was dropped after the link was disposed of");

        var reopened = path.Right.Run(() => Link.OpenPinned(pin));
        Assert.IsType<XdpLink>(reopened);
        Assert.Equal((program.Id, pin), (reopened.ProgramId, reopened.PinPath));
        reopened.Detach();

        Assert.False(File.Exists(pin));
        Assert.Equal(2, path.SendAndReceive(2));
    }

    [KernelFact]
    public void Detaching_by_netlink_leaves_a_program_that_took_the_place()
    {
        using var path = new UdpPath();
        using var pins = new TestPins();
        using var dropped = new Global<ulong>("dropped");
        using var passed = new Global<ulong>("passed");
        using var dropper = ProgramLoader.Load(DatagramProgram.Xdp("dropper", dropped, Drop));
        using var passer = ProgramLoader.Load(DatagramProgram.Xdp("passer", passed, Pass));
        var first = path.Right.Run(() => XdpLink.AttachByNetlink(passer, path.RightInterface, XdpMode.Generic));
        first.Pin(pins.Path("edge"));
        var second = path.Right.Run(() => Link.OpenPinned(pins.Path("edge")));
        second.Update(dropper);

        first.Detach();

        path.Send(1);
        Eventually.True(() => dropped.Value == 1, "the program that took the place still drops");
        second.Detach();
        second.Detach();
        Assert.Equal(2, path.SendAndReceive(2));
    }

    [KernelFact]
    public void A_second_program_on_the_interface_is_refused()
    {
        using var path = new UdpPath();
        using var counter = new Global<ulong>("counter");
        using var program = ProgramLoader.Load(DatagramProgram.Xdp("passer", counter, Pass));
        using var first = path.Right.Run(() => XdpLink.Attach(program, path.RightInterface));

        var refusal = Assert.Throws<BpfException>(() => path.Right.Run(() => XdpLink.Attach(program, path.RightInterface)));

        Assert.Equal(Errno.Busy, refusal.ErrorNumber);
        Assert.Contains("another XDP program", refusal.Message);
    }

    [KernelFact]
    public void An_interface_that_does_not_exist_is_refused()
    {
        using var counter = new Global<ulong>("counter");
        using var program = ProgramLoader.Load(DatagramProgram.Xdp("passer", counter, Pass));

        Assert.Equal(Errno.NoDevice, Assert.Throws<BpfException>(() => XdpLink.Attach(program, 999_999)).ErrorNumber);
        Assert.Equal(Errno.NoDevice, Assert.Throws<BpfException>(() => XdpLink.AttachByNetlink(program, 999_999)).ErrorNumber);
    }
}
