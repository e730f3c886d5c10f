using Skep.Bpf.Asm;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.KernelTests.Surroundings;
using static Skep.Bpf.Asm.OpCodes;
using static Skep.Bpf.Asm.Register;

namespace Skep.KernelTests.Links;

public class RawTracepointLinkTests
{
    /// <summary>Counts drops whose reason, the third argument of kfree_skb, is set.</summary>
    private static ProgramSpec CountDrops(Global<ulong> counter) => new Assembler()
        .Load(SizeDw, R2, R1, 16)
        .Jump(Jeq, R2, 0, "out")
        .LoadMapValue(R1, counter)
        .Move(R2, 1)
        .Atomic(SizeDw, AtomicAdd, R1, 0, R2)
        .Label("out")
        .Move(R0, 0)
        .Exit()
        .Build("drops", ProgramType.Tracing, AttachType.TraceRawTp, "kfree_skb");

    /// <summary>A datagram to a closed port of the loopback interface is dropped for lack of a socket.</summary>
    private static void CauseDrop()
    {
        using var socket = new System.Net.Sockets.UdpClient("127.0.0.1", 9);
        socket.Send([1]);
    }

    [KernelFact]
    public void Sees_drops_until_disposed_of()
    {
        using var counter = new Global<ulong>("drops");
        using var program = ProgramLoader.Load(CountDrops(counter));
        using (var link = RawTracepointLink.Attach(program))
        {
            Assert.Equal(program.Id, link.ProgramId);
            CauseDrop();
            Eventually.True(() => counter.Value > 0, "a drop was seen");
        }

        Assert.Equal(0, LinkCount(program.Id));
    }

    [KernelFact]
    public void A_pinned_tracepoint_is_updated_in_place_of_its_pin()
    {
        using var pins = new TestPins();
        using var before = new Global<ulong>("before");
        using var after = new Global<ulong>("after");
        using var first = ProgramLoader.Load(CountDrops(before));
        using var second = ProgramLoader.Load(CountDrops(after));
        using (var link = RawTracepointLink.Attach(first))
        {
            link.Pin(pins.Path("drops"));
        }

        using (var reopened = Link.OpenPinned(pins.Path("drops")))
        {
            Assert.IsType<RawTracepointLink>(reopened);
            reopened.Update(second);
        }

        CauseDrop();
        Eventually.True(() => after.Value > 0, "the second program saw a drop");
        using var last = Link.OpenPinned(pins.Path("drops"));
        Assert.Equal(second.Id, last.ProgramId);
        last.Detach();
        Assert.Empty(Directory.EnumerateFileSystemEntries(pins.Directory));
    }

    [KernelFact]
    public void A_tracepoint_this_kernel_lacks_is_named()
    {
        var spec = new Assembler().Move(R0, 0).Exit().Build("none", ProgramType.Tracing, AttachType.TraceRawTp, "no_such_tracepoint");

        Assert.Contains("'no_such_tracepoint'", Assert.Throws<NotSupportedException>(() => ProgramLoader.Load(spec)).Message);
    }

    private static int LinkCount(uint programId) =>
        Directory.EnumerateFiles("/proc/self/fdinfo").Count(file => TextOf(file) is var text
            && text.Contains("link_type", StringComparison.Ordinal) && text.Contains($"prog_id:\t{programId}\n", StringComparison.Ordinal));

    // Tests run side by side: what another one closes meanwhile is none of this one's links.
    private static string TextOf(string file)
    {
        try
        {
            return File.ReadAllText(file);
        }
        catch (IOException)
        {
            return "";
        }
    }
}
