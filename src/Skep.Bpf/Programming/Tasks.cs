using Skep.Bpf.KernelViews;

namespace Skep.Bpf.Programming;

/// <summary>
/// The tasks of the host in a loop (<c>foreach</c>), in programs of every kind that do not sleep (kernel 6.7): the verifier walks the body until it learns nothing
/// new. In the process the tasks are those of <see cref="KernelEnvironment.Tasks"/>; the bytecode interpreter has none.
/// </summary>
public static unsafe class Tasks
{
    /// <summary>Every process, by its first thread.</summary>
    public static TaskSweep Processes() => new(null, TaskIterator.Which.Processes);

    /// <summary>Every thread of every process.</summary>
    public static TaskSweep Threads() => new(null, TaskIterator.Which.Threads);

    /// <summary>The threads of the process that <paramref name="task"/> belongs to.</summary>
    /// <param name="task">
    /// A task that the verifier knows to stay, not null: the current one (<see cref="Helper.GetCurrentTaskBtf"/>) or one that the program holds a reference to, not one
    /// that another sweep came by.
    /// </param>
    public static TaskSweep ThreadsOf(TaskStruct* task) => new(task, TaskIterator.Which.ThreadsOfOne);
}
