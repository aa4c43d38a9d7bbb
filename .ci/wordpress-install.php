<?php
// Makes the tables and the user of the WordPress that tests poll, and prints an application password. The site is in New
// York, so that a time without a zone is not UTC. Usage: php wordpress-install.php SITE
$_SERVER['HTTP_HOST'] = '127.0.0.1';
$_SERVER['SERVER_PROTOCOL'] = 'HTTP/1.1';
$_SERVER['REQUEST_METHOD'] = 'GET';
define('WP_INSTALLING', true);
function wp_mail()
{
    return true; // it would announce the new site
}
require $argv[1] . '/wp-load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';
wp_install('Tests', 'admin', 'admin@example.com', false, '', 'password-of-tests');
update_option('permalink_structure', '/%postname%/');
update_option('timezone_string', 'America/New_York');
foreach (get_posts(['post_type' => ['post', 'page'], 'numberposts' => -1, 'post_status' => 'any']) as $one) {
    wp_delete_post($one->ID, true);
}
[$password] = WP_Application_Passwords::create_new_application_password(1, ['name' => 'tests']);
echo $password;
