using System.Runtime.CompilerServices;
using Skep.Bpf.Asm;
using Skep.Bpf.Compiler;
using Skep.Bpf.Inspection;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.KernelTests.Compiler.Language;

namespace Skep.KernelTests.Maps;

public unsafe class GlobalArrayTests
{
    private const uint Count = 1000;

    [KernelFact]
    public void Programs_and_process_work_on_the_same_variables_on_all_engines() =>
        WordsProgram.Check(() => new Counting(), 300, p => string.Join(' ', p.Counts.Entries.ToArray()));

    [KernelFact]
    public void What_is_found_by_a_bounded_number_costs_no_call_and_no_comparison_with_null()
    {
        var spec = ProgramCompiler.Compile(new Shifting());
        Assert.DoesNotContain(spec.Instructions, i => i.Class == OpCodes.ClassJmp && (i.Code & 0xF0) == OpCodes.Call);
        Assert.Single(spec.Instructions, i => i.Class is OpCodes.ClassJmp or OpCodes.ClassJmp32 && (i.Code & 0xF0) is not (OpCodes.Exit or OpCodes.Ja));
        using var loaded = ProgramLoader.Load(spec);
    }

    [KernelFact]
    public void The_kernel_knows_the_type_of_all_of_them()
    {
        using var map = new GlobalArray<Pair>(Count, "pairs");
        map.Bind(KernelMapStorage.Create(map));
        map.Entries[7] = new Pair { One = 1, Other = 2 };
        Assert.Equal(2u, map.Find(7).Other);
        Assert.True(Unsafe.IsNullRef(ref map.Find(Count)));
        Assert.Equal((int)Count * sizeof(Pair), map.ValueSize);
        Assert.NotEqual(0u, MapDetails.Read(((KernelMapStorage)map.Storage).Id).ValueType);
    }

    internal struct Pair
    {
        public uint One;
        public uint Other;
    }

    private sealed class Counting : WordsProgram
    {
        public readonly GlobalArray<ulong> Counts = new(Count);

        protected override bool Compute(ulong* w)
        {
            // From the end on there is none.
            var number = (uint)(w[0] % (Count + 100));
            ref var count = ref Counts.Find(number);
            if (Unsafe.IsNullRef(ref count))
            {
                w[1] = ulong.MaxValue;
                return false;
            }

            count += w[2] | 1;
            w[1] = count;

            // In range as the compiler and the verifier see.
            Interlocked.Add(ref Counts.Find((uint)(((ulong)(uint)w[3] * Count) >> 32)), 1);
            w[4] = Counts.Find((uint)(w[5] >> 55)) + Counts.Find((uint)w[6] & 255);
            return true;
        }
    }

    private sealed class Shifting : WordsProgram
    {
        public readonly GlobalArray<ulong> Words = new(1024);

        protected override bool Compute(ulong* w)
        {
            w[1] = Words.Find((uint)(w[0] >> 54));
            return true;
        }
    }
}
