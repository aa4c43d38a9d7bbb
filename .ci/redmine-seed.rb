# What the Redmine that tests poll has: its default trackers and states, one project, and the admin's API key, printed.
Setting.rest_api_enabled = '1'
Redmine::DefaultData::Loader.load('en')
project = Project.create!(name: 'Shop', identifier: 'shop', enabled_module_names: ['issue_tracking'])
project.trackers = Tracker.all
admin = User.find_by(login: 'admin')
admin.update_columns(must_change_passwd: false)
print admin.api_key
