using System.Runtime.InteropServices;
using Skep.Bpf.KernelViews;

namespace Skep.Bpf.Programming;

/// <summary>
/// The kernel's iterator over tasks (<c>struct bpf_iter_task</c>, kernel 6.7). In the process it goes through the tasks of the environment.
/// <code>
/// in the process   0 next:4   4 which:4   8 process:4   12 unused:12
/// </code>
/// </summary>
[KernelStruct("bpf_iter_task", IsValue = true, OnStack = true)]
[StructLayout(LayoutKind.Sequential, Size = 24)]
internal unsafe struct TaskIterator
{
    private int _next;
    private Which _which;
    private int _process;

    /// <summary>Which tasks (<c>BPF_TASK_ITER_*</c>).</summary>
    internal enum Which : uint
    {
        Processes = 0,
        Threads = 1,
        ThreadsOfOne = 2,
    }

    /// <summary>The address of a new variable on the program's stack.</summary>
    [LoopLowering(LoopWay.IteratorVariable)]
    internal static TaskIterator* OnStack() => (TaskIterator*)NativeMemory.AllocZeroed((nuint)sizeof(TaskIterator));

    [KernelFunction("bpf_iter_task_new", Since = "6.7", Acquires = true)]
    internal static int Begin(TaskIterator* iterator, TaskStruct* task, Which which)
    {
        *iterator = new TaskIterator { _which = which, _process = task == null ? 0 : task->ProcessId };
        return 0;
    }

    [KernelFunction("bpf_iter_task_next", Since = "6.7")]
    internal static TaskStruct* Next(TaskIterator* iterator)
    {
        var tasks = KernelEnvironment.Current.Tasks;
        while (iterator->_next < tasks.Count)
        {
            var task = (TaskStruct*)tasks[iterator->_next++];
            if (iterator->_which switch
            {
                Which.Processes => task->ThreadId == task->ProcessId,
                Which.ThreadsOfOne => task->ProcessId == iterator->_process,
                _ => true,
            })
            {
                return task;
            }
        }

        return null;
    }

    [KernelFunction("bpf_iter_task_destroy", Since = "6.7", Releases = true)]
    internal static void End(TaskIterator* iterator) => NativeMemory.Free(iterator);
}
