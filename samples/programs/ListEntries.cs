using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Engine;

namespace Skep.Samples.Programs;

/// <summary>Lists the entries of a table whose counter is above a limit: what is below never leaves the kernel.</summary>
public sealed class ListEntries(ulong limit) : MapIteratorProgram<uint, ulong>
{
    protected override IteratorVerdict Visit(ref IteratorContext context, in uint key, ref ulong value)
    {
        if (value > limit)
        {
            var entry = new Entry { Key = key, Value = value };
            context.Write(in entry);
        }

        return IteratorVerdict.Next;
    }

    /// <summary>Makes the iterator over a map that lives in the kernel.</summary>
    public IteratorLink Attach(KeyedMap<uint, ulong> map)
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this, KernelTarget.Running));
        return IteratorLink.Attach(program, map);
    }

    public struct Entry
    {
        public ulong Key, Value;
    }
}
