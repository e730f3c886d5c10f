using System.Runtime.CompilerServices;
using Skep.Bpf;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Interpretation;
using Skep.Engine;
using Skep.KernelTests.Surroundings;

namespace Skep.KernelTests.Programming;

/// <summary>Timers in the values of maps: they fire in the kernel, and at exactly their time under the twin, on the CLR and in the interpreter.</summary>
public sealed unsafe class TimerTests
{
    private const ulong Millisecond = 1_000_000;

    private static byte[] Packet(byte key, byte delay, byte what) => [key, delay, what, .. new byte[61]];

    [KernelFact(Needs = ["timers"])]
    public void A_timer_fires_in_the_kernel_and_arms_itself_again()
    {
        var program = new Expiring();
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program, KernelTarget.Running));
        using var entries = program.Entries;
        Assert.Equal((int)XdpAction.Pass, loaded.TestRun(Packet(7, 1, 0)).ReturnValue);
        Eventually.True(() => entries.TryGet(7, out var entry) && entry.Fired >= 3, "the timer fired three times");

        // It is the same entry, whose key the function was given; what of the value is the kernel's is zero for the process.
        Assert.True(entries.TryGet(7, out var seen));
        Assert.Equal(7ul, seen.Key);
        Assert.Equal(0, Unsafe.As<BpfTimer, long>(ref seen.Timer));

        // Usable already; not armed any more; another one is stopped in time.
        Assert.Equal((int)XdpAction.Drop, loaded.TestRun(Packet(7, 1, 0)).ReturnValue);
        Assert.Equal((int)XdpAction.Aborted, loaded.TestRun(Packet(7, 1, 1)).ReturnValue);
        Assert.Equal((int)XdpAction.Pass, loaded.TestRun(Packet(8, 255, 0)).ReturnValue);
        Assert.Equal((int)XdpAction.Tx, loaded.TestRun(Packet(8, 1, 1)).ReturnValue);
    }

    [KernelFact(Needs = ["timers"])]
    public void An_array_has_timers_too()
    {
        var program = new OneShot();
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program, KernelTarget.Running));
        using var slots = program.Slots;
        loaded.TestRun(Packet(2, 0, 0));
        Eventually.True(() => slots.TryGet(2, out var slot) && slot.Key == 2, "the timer of the second slot fired");
        Assert.True(slots.TryGet(1, out var other) && other.Fired == 0);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Timers_fire_in_order_each_at_its_time(bool interpreted)
    {
        var program = new Expiring();
        using var twin = new TwinEngine();
        var run = Runner(twin, program, interpreted);
        run(Packet(1, 30, 0));
        run(Packet(2, 10, 0));
        run(Packet(3, 10, 2));
        Assert.Equal(3, twin.Environment.ArmedTimers);

        twin.Environment.Advance(TimeSpan.FromMilliseconds(9));
        Assert.Equal([0, 0, 0], Fired(program, 1, 2, 3));
        twin.Environment.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal([0, 1, 1], Fired(program, 1, 2, 3));

        // An armed timer of three rounds: at 10, 20 and 30 milliseconds.
        twin.Environment.Advance(TimeSpan.FromMilliseconds(90));
        Assert.Equal([3, 3, 1], Fired(program, 1, 2, 3));
        Assert.Equal(TwinEnvironment.DefaultStart + (30 * Millisecond), Last(program, 2));
        Assert.Equal(TwinEnvironment.DefaultStart + (90 * Millisecond), Last(program, 1));
        Assert.Equal(0, twin.Environment.ArmedTimers);
        Assert.Equal(TwinEnvironment.DefaultStart + (100 * Millisecond), twin.Environment.KtimeNow);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_timer_goes_with_its_entry(bool interpreted)
    {
        var program = new Expiring();
        using var twin = new TwinEngine();
        var run = Runner(twin, program, interpreted);
        run(Packet(1, 10, 0));
        run(Packet(2, 10, 0));
        run(Packet(3, 10, 0));
        Assert.True(program.Entries.Remove(1));
        program.Entries.Set(2, new Timed { Key = 99 });
        Assert.Equal((int)XdpAction.Tx, run(Packet(3, 10, 1)));
        Assert.Equal((int)XdpAction.Aborted, run(Packet(3, 10, 1)));
        twin.Environment.Advance(TimeSpan.FromSeconds(1));

        Assert.False(program.Entries.TryGet(1, out _));
        Assert.True(program.Entries.TryGet(2, out var replaced) && replaced is { Key: 99, Fired: 0 });
        Assert.Equal([0], Fired(program, 3));

        // The entry that was replaced can have a timer again.
        Assert.Equal((int)XdpAction.Pass, run(Packet(2, 10, 0)));
        twin.Environment.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal([3], Fired(program, 2));
    }

    [Fact]
    public void A_timer_outside_the_maps_of_the_twin_is_refused_as_the_kernel_does()
    {
        using var twin = new TwinEngine();
        var timer = default(BpfTimer);
        KernelEnvironment.Exchange(twin.Environment);
        try
        {
            Assert.Equal(-Errno.Invalid, timer.Start(1));
            Assert.Equal(-Errno.Invalid, timer.Cancel());
        }
        finally
        {
            KernelEnvironment.Exchange(null);
        }
    }

    private static Func<byte[], int> Runner(TwinEngine twin, XdpProgram program, bool interpreted)
    {
        if (!interpreted)
        {
            return packet => (int)twin.Run(program, packet).Action;
        }

        var interpreter = new BytecodeInterpreter(ProgramCompiler.Compile(program), twin);
        return packet => (int)interpreter.RunXdp(packet).ReturnValue;
    }

    private static int[] Fired(Expiring program, params uint[] keys) => [.. keys.Select(key => program.Entries.TryGet(key, out var entry) ? (int)entry.Fired : -1)];

    private static ulong Last(Expiring program, uint key) => program.Entries.TryGet(key, out var entry) ? entry.At : 0;

    private struct Timed
    {
        public BpfTimer Timer;
        public ulong Key, Fired, At, Delay;
    }

    /// <summary>An entry a packet names gets a timer that fires three times; or its timer is stopped.</summary>
    private sealed class Expiring : XdpProgram
    {
        public HashMap<uint, Timed> Entries { get; } = new(16);

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 4 > context.DataEnd)
            {
                return XdpAction.Aborted;
            }

            uint key = data[0];
            var delay = data[1] * Millisecond;
            var what = data[2];
            ref var entry = ref Entries.Find(in key);
            if (Unsafe.IsNullRef(ref entry))
            {
                var fresh = default(Timed);
                Entries.Update(in key, in fresh, UpdateMode.Any);
                entry = ref Entries.Find(in key);
                if (Unsafe.IsNullRef(ref entry))
                {
                    return XdpAction.Aborted;
                }
            }

            if (what == 1)
            {
                return entry.Timer.Cancel() == 1 ? XdpAction.Tx : XdpAction.Aborted;
            }

            if (entry.Timer.Initialize(Entries) != 0)
            {
                return XdpAction.Drop;
            }

            entry.Delay = delay;
            entry.Fired = 0;
            if (what == 2)
            {
                entry.Timer.OnElapsed(Entries, static (in key, ref entry) => entry.Fired++);
            }
            else
            {
                entry.Timer.OnElapsed(Entries, Fire);
            }

            return entry.Timer.Start(delay) == 0 ? XdpAction.Pass : XdpAction.Redirect;
        }

        private void Fire(in uint key, ref Timed entry)
        {
            entry.Key = key;
            entry.At = Helper.KtimeGetNs();
            if (++entry.Fired < 3)
            {
                entry.Timer.Start(entry.Delay);
            }
        }
    }

    private sealed class OneShot : XdpProgram
    {
        public ArrayMap<Timed> Slots { get; } = new(4);

        public override XdpAction Run(ref XdpContext context)
        {
            ref var slot = ref Slots.Find(2);
            if (Unsafe.IsNullRef(ref slot))
            {
                return XdpAction.Aborted;
            }

            slot.Timer.Initialize(Slots);
            slot.Timer.OnElapsed(Slots, static (in index, ref slot) => slot.Key = index);
            slot.Timer.Start(0);
            return XdpAction.Pass;
        }
    }
}
