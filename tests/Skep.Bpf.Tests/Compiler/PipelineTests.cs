using Skep.Bpf.Compiler;

namespace Skep.Bpf.Tests.Compiler;

public class PipelineTests
{
    [Fact]
    public void Tests_have_the_form_verified_after_every_pass() =>
        Assert.True(AppContext.TryGetSwitch(Pipeline.CheckEveryPass, out var isOn) && isOn, $"{Pipeline.CheckEveryPass} is not set: a broken pass would be found late, or not at all");
}
