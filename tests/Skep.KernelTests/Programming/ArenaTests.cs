using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Engine;
using Skep.KernelTests.Compiler;

namespace Skep.KernelTests.Programming;

/// <summary>Structures in arenas that programs and the process build and follow together.</summary>
public unsafe class ArenaTests
{
    private const int Chains = 16, First = 4096, Nodes = 8192;

    [ProvesMap(MapKind.Arena)]
    [KernelFact(Needs = ["arena"])]
    public void Programs_build_a_table_of_lists_that_the_process_walks() => Differential.Check(
        () => new Table(), RandomPackets.Make(120, 64), Contents, Touch, KernelTarget.Running);

    [KernelFact(Needs = ["arena"])]
    public void A_program_follows_what_the_process_has_built()
    {
        using var twin = new TwinEngine();
        foreach (var inKernel in (bool[])[true, false])
        {
            var program = new Sum();
            using var loaded = inKernel ? ProgramLoader.Load(ProgramCompiler.Compile(program, KernelTarget.Running)) : null;
            twin.Bind(inKernel ? new Sum() : program);

            // A list of 1, 2, 3, ... whose nodes lie in the second page, last one first.
            var head = default(ArenaPointer<Node>);
            for (var i = 0u; i < 20; i++)
            {
                var node = program.Memory.At<Node>(4096 + ((20 - i) * (uint)sizeof(Node)));
                node.Value = new Node { Key = i + 1, Next = head };
                head = node;
            }

            program.Memory.At<ArenaPointer<Node>>(0).Value = head;
            if (inKernel)
            {
                loaded!.TestRun(new byte[64]);
            }
            else
            {
                twin.Run(program, new byte[64]);
            }

            Assert.Equal(210ul, program.Memory.At<ulong>(8).Value);
            Assert.Equal(19ul, head.Value.Next.Value.Count);
            program.Memory.Dispose();
        }
    }

    [KernelFact(Needs = ["arena"])]
    public void A_syscall_program_takes_pages_and_gives_them_back()
    {
        var program = new Pages();
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program, KernelTarget.Running));
        program.Memory.At<ulong>(0).Value = 1; // the process has this page: it is not given out
        var request = new Request { Value = 77 };
        Assert.Equal(0, loaded.Call(ref request));
        Assert.True(request.Page.Address >= program.Memory.Address + 4096 && request.Page.Address < program.Memory.Address + program.Memory.Length);
        Assert.Equal(77ul, request.Page.Value);
        program.Memory.Dispose();

        using var twin = new TwinEngine();
        var inProcess = new Pages();
        request = new Request { Value = 78 };
        Assert.Equal(0, twin.Run(inProcess, ref request));
        Assert.Equal(78ul, request.Page.Value);
    }

    /// <summary>Brings the pages into being: a program's write to one that is not there is lost.</summary>
    private static void Touch(Table program)
    {
        for (var page = 0u; page < 4; page++)
        {
            program.Memory.At<ulong>(page * 4096).Value = 0;
        }
    }

    private static string Contents(Table program)
    {
        var lines = new List<string>();
        for (var chain = 0; chain < Chains; chain++)
        {
            for (var node = program.Memory.At<ArenaPointer<Node>>(0)[chain]; !node.IsNull; node = node.Value.Next)
            {
                lines.Add($"{chain}:{node.Value.Key}x{node.Value.Count}");
            }
        }

        Assert.NotEmpty(lines);
        return string.Join(' ', lines);
    }

    private struct Node
    {
        public ulong Key;
        public ulong Count;
        public ArenaPointer<Node> Next;
    }

    /// <summary>Counts keys in a hash table of lists; nodes come from the rest of the arena, in order.</summary>
    private sealed class Table : XdpProgram
    {
        public Arena Memory { get; } = new(16);

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 16 > context.DataEnd)
            {
                return XdpAction.Aborted;
            }

            ulong key = data[0] & 63u;
            ref var head = ref Memory.At<ArenaPointer<Node>>(0)[(int)(key & (Chains - 1))];
            foreach (var _ in Loop.Range(100))
            {
                var at = head;
                if (at.IsNull)
                {
                    ref var used = ref Memory.At<ulong>(2048).Value;
                    var number = Interlocked.Increment(ref used) - 1;
                    if (number >= Nodes / (uint)sizeof(Node))
                    {
                        return XdpAction.Drop;
                    }

                    var fresh = Memory.At<Node>(First).Plus((long)number);
                    fresh.Value.Key = key;
                    fresh.Value.Count = 1;
                    head = fresh;
                    return XdpAction.Pass;
                }

                if (at.Value.Key == key)
                {
                    at.Value.Count++;
                    *(ulong*)(data + 8) = at.Value.Count;
                    return XdpAction.Tx;
                }

                head = ref at.Value.Next;
            }

            return XdpAction.Drop;
        }
    }

    private sealed class Sum : XdpProgram
    {
        public Arena Memory { get; } = new(2);

        public override XdpAction Run(ref XdpContext context)
        {
            ulong sum = 0;
            var node = Memory.At<ArenaPointer<Node>>(0).Value;
            foreach (var i in Loop.Range(1000))
            {
                if (node.IsNull)
                {
                    break;
                }

                sum += node.Value.Key;
                node.Value.Count = 20 - i;
                node = node.Value.Next;
            }

            Memory.At<ulong>(8).Value = sum;
            return XdpAction.Pass;
        }
    }

    private struct Request
    {
        public ulong Value;
        public ArenaPointer<ulong> Page;
    }

    private sealed class Pages : SyscallProgram<Request>
    {
        public Arena Memory { get; } = new(8);

        public override int Run(ref Request request)
        {
            if (!Memory.TryAllocate<ulong>(2, out var page) || !Memory.TryAllocate<ulong>(1, out var other))
            {
                return 1;
            }

            page.Value = request.Value;
            other.Value = 5;
            Memory.Free(other, 1);
            request.Page = page;
            return 0;
        }
    }
}
