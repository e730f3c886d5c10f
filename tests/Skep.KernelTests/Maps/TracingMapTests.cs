using Microsoft.Win32.SafeHandles;
using Skep.Bpf;
using Skep.Bpf.Asm;
using Skep.Bpf.Buffers;
using Skep.Bpf.Compiler;
using Skep.Bpf.Kernel;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.KernelTests.Surroundings;
using static Skep.Bpf.Asm.OpCodes;
using static Skep.Bpf.Asm.Register;

namespace Skep.KernelTests.Maps;

[Collection(ThreadCgroup.Collection)]
public class TracingMapTests
{
    [ProvesMap(MapKind.StackTrace, MapKind.CgroupArray)]
    [KernelFact]
    public void Stacks_and_membership_are_seen_where_a_thread_is_made()
    {
        using var group = new TestCgroup();
        var program = new Births((uint)Environment.ProcessId);
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program));
        using var stacks = program.Stacks;
        using var groups = program.Groups;
        using var last = program.Last;
        using var inside = program.Inside;
        using var outside = program.Outside;
        using var directory = new SafeFileHandle(LibC.open(group.Directory, LibC.O_DIRECTORY | LibC.O_CLOEXEC), ownsHandle: true);
        groups.Set(0, directory);
        using var link = RawTracepointLink.Attach(loaded);

        static int NewThread()
        {
            var thread = new Thread(static () => { });
            thread.Start();
            thread.Join();
            return 0;
        }

        NewThread();
        Assert.True(outside.Value >= 1);
        group.Inside(NewThread);
        Assert.True(inside.Value >= 1);

        var frames = new ulong[stacks.Depth];
        var depth = stacks.Read((uint)last.Value, frames);
        Assert.InRange(depth, 2, stacks.Depth);

        // Kernel addresses are in the upper half.
        Assert.All(frames[..depth], address => Assert.True(address >> 63 == 1));
        Assert.True(stacks.Remove((uint)last.Value));
        Assert.Equal(0, stacks.Read((uint)last.Value, frames));
        Assert.Equal(Errno.BadDescriptor, Assert.Throws<BpfException>(() => groups.Set(0, File.OpenHandle("/dev/null"))).ErrorNumber);
    }

    [KernelFact]
    public unsafe void Program_and_process_see_the_same_arena()
    {
        using var arena = new Arena(4, "shared");
        arena.Bind(KernelMapStorage.Create(arena));
        *(ulong*)(arena.Address + 4096) = 40;

        // The verifier knows an arena pointer by the cast from its address space: offset 1 of the move.
        var cast = new Instruction(0xbf, R2, R2, 1, 1);
        var code = new Assembler().LoadMap(R1, arena).LoadImmediate64(R2, (uint)(nuint)(arena.Address + 4096)).Emit(cast).Load(SizeDw, R3, R2, 0).Alu(Add, R3, 2).Store(SizeDw, R2, 8, R3).Move(R0, 2).Exit();
        using var program = ProgramLoader.Load(code.Build("touch", ProgramType.Xdp));
        program.TestRun(new byte[64]);

        Assert.Equal(42ul, *(ulong*)(arena.Address + 4104));
        Assert.Equal(4ul * 4096, arena.Length);
        using var twin = new TwinEngine();
        using var mirror = new Arena(4, "mirror");
        twin.Bind(mirror);
        mirror.Address[4095] = 1;
    }

    [KernelFact]
    public void A_user_ring_takes_records_until_it_is_full()
    {
        using var ring = new UserRingBuffer<ulong>(4096, "orders");
        ring.Bind(KernelMapStorage.Create(ring));
        using var writer = new UserRingBufferWriter<ulong>(ring);
        Assert.True(writer.IsDrained);
        ulong written = 0;
        while (writer.TryWrite(written))
        {
            written++;
        }

        // Sixteen bytes each with the header.
        Assert.Equal(256ul, written);
        Assert.Equal((256, 1), (writer.Records, writer.Refused));
        Assert.False(writer.IsDrained);
        Assert.Equal(0, Allocated(() => writer.TryWrite(1)));
    }

    private static long Allocated(Action action)
    {
        action();
        var before = GC.GetAllocatedBytesForCurrentThread();
        action();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    private sealed class Births(uint process) : RawTracepointProgram
    {
        private readonly uint _process = process;

        public StackTraceMap Stacks { get; } = new(64);

        public CgroupArray Groups { get; } = new(1);

        public Global<long> Last { get; } = new();

        public Global<ulong> Inside { get; } = new();

        public Global<ulong> Outside { get; } = new();

        public override string Tracepoint => "task_newtask";

        public override void Run(ref RawTracepointContext context)
        {
            if ((uint)(Helper.GetCurrentPidTgid() >> 32) != _process)
            {
                return;
            }

            Last.Value = Stacks.Collect(ref context, StackTraceFlags.CompareByHash | StackTraceFlags.Replace);
            if (Groups.HoldsCurrentTask(0) == 1)
            {
                Interlocked.Increment(ref Inside.Value);
            }
            else
            {
                Interlocked.Increment(ref Outside.Value);
            }
        }
    }
}
