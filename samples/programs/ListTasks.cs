using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Engine;

namespace Skep.Samples.Programs;

/// <summary>Lists the threads of this host as records: no /proc is read, and the list is from one sweep.</summary>
public sealed unsafe class ListTasks : IteratorProgram
{
    public override string Target => "task";

    public override IteratorVerdict Run(ref IteratorContext context)
    {
        var task = context.Pointer<Task>(1);
        if (task != null)
        {
            var record = new Entry { Process = task->Process, Thread = task->Thread };
            context.Write(in record);
        }

        return IteratorVerdict.Next;
    }

    /// <summary>Makes the iterator; each <c>Read</c> of it is a new sweep.</summary>
    public IteratorLink Attach()
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this, KernelTarget.Running));
        return IteratorLink.Attach(program);
    }

    public struct Entry
    {
        public int Process, Thread;
    }

    /// <summary>What of <c>struct task_struct</c> is read.</summary>
    [KernelStruct("task_struct")]
    public struct Task
    {
        [KernelField("tgid")]
        public int Process;

        [KernelField("pid")]
        public int Thread;
    }
}
